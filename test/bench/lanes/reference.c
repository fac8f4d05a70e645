/*
 * The least that a server in C does for the answers that natprobed gives: recvmmsg, answer in place,
 * sendmmsg, on one thread. It is what the bench holds natprobed against, and no server to run: it
 * checks nothing that it needn't.
 *
 * reference IP ALT-IP PORT ALT-PORT   (ALT-IP - for one address)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 64, SLOT = 2048 };

struct address {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  };
};

static uint32_t crc_tables[4][256];
static struct address roles[4];
static int sockets[4] = {-1, -1, -1, -1};
static int role_count;

static struct mmsghdr received[BATCH];
static struct iovec received_iov[BATCH];
static unsigned char inbox[BATCH][SLOT];
static struct address names[BATCH];
static struct mmsghdr answers[4][BATCH];
static struct iovec answers_iov[4][BATCH];
static unsigned char outbox[BATCH][SLOT];

static void make_crc_tables(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t entry = i;
    for (int bit = 0; bit < 8; bit++) entry = entry & 1 ? entry >> 1 ^ 0xedb88320 : entry >> 1;
    crc_tables[0][i] = entry;
  }
  for (int table = 1; table < 4; table++)
    for (int i = 0; i < 256; i++)
      crc_tables[table][i] = crc_tables[table - 1][i] >> 8 ^ crc_tables[0][crc_tables[table - 1][i] & 255];
}

static uint32_t fingerprint_of(const unsigned char *bytes, size_t length) {
  uint32_t crc = 0xffffffff;
  for (; length >= 4; length -= 4, bytes += 4) {
    uint32_t word;
    memcpy(&word, bytes, 4);
    crc ^= word;
    crc = crc_tables[3][crc & 255] ^ crc_tables[2][crc >> 8 & 255] ^ crc_tables[1][crc >> 16 & 255] ^
          crc_tables[0][crc >> 24];
  }
  return htonl(~crc ^ 0x5354554e);
}

static void put16(unsigned char *at, unsigned value) {
  at[0] = value >> 8;
  at[1] = value;
}

static unsigned get16(const unsigned char *at) { return at[0] << 8 | at[1]; }

static size_t put_address(unsigned char *at, int type, const struct address *address, const unsigned char *mask) {
  int v6 = address->any.sa_family == AF_INET6;
  size_t length = v6 ? 20 : 8;
  put16(at, type);
  put16(at + 2, length);
  at[4] = 0;
  at[5] = v6 ? 2 : 1;
  memcpy(at + 6, &address->v4.sin_port, 2);
  if (v6) memcpy(at + 8, &address->v6.sin6_addr, 16);
  else memcpy(at + 8, &address->v4.sin_addr, 4);
  if (mask != NULL) {
    at[6] ^= mask[0];
    at[7] ^= mask[1];
    for (size_t i = 0; i < length - 4; i++) at[8 + i] ^= mask[i];
  }
  return length + 4;
}

/* Writes the answer; returns its length, or 0 for what is no Binding request. `role` becomes whom it is from. */
static size_t answer(const unsigned char *request, size_t length, const struct address *from, unsigned char *out,
                     int *role) {
  if (length < 20 || get16(request) != 1 || get16(request + 2) + 20 != length) return 0;
  int arrival = *role, has_fingerprint = 0;
  for (size_t at = 20; at + 4 <= length;) {
    unsigned type = get16(request + at), size = get16(request + at + 2);
    if (at + 4 + size > length) return 0;
    if (type == 3) *role ^= request[at + 7] >> 1 & 3;
    if (type == 0x8028) {
      uint32_t value = fingerprint_of(request, at);
      if (memcmp(&value, request + at + 4, 4) != 0) return 0;
      has_fingerprint = 1;
    }
    at += 4 + ((size + 3) & ~3u);
  }
  if (*role >= role_count) return 0;
  put16(out, 0x0101);
  memcpy(out + 4, request + 4, 16);
  size_t end = 20;
  end += put_address(out + end, 0x0001, from, NULL);
  end += put_address(out + end, 0x0020, from, out + 4);
  end += put_address(out + end, 0x802b, &roles[*role], NULL);
  if (role_count == 4) end += put_address(out + end, 0x802c, &roles[arrival ^ 3], NULL);
  put16(out + 2, end - 20 + (has_fingerprint ? 8 : 0));
  if (has_fingerprint) {
    uint32_t value = fingerprint_of(out, end);
    put16(out + end, 0x8028);
    put16(out + end + 2, 4);
    memcpy(out + end + 4, &value, 4);
    end += 8;
  }
  return end;
}

static int answer_batch(int role) {
  int count = recvmmsg(sockets[role], received, BATCH, MSG_DONTWAIT, NULL);
  int queued[4] = {0};
  for (int i = 0; i < count; i++) {
    int from = role;
    size_t length = answer(inbox[i], received[i].msg_len, &names[i], outbox[i], &from);
    if (length == 0) continue;
    int place = queued[from]++;
    answers[from][place].msg_hdr.msg_name = &names[i];
    answers[from][place].msg_hdr.msg_namelen = received[i].msg_hdr.msg_namelen;
    answers_iov[from][place].iov_base = outbox[i];
    answers_iov[from][place].iov_len = length;
  }
  for (int from = 0; from < role_count; from++)
    for (int sent = 0; sent < queued[from];) {
      int taken = sendmmsg(sockets[from], answers[from] + sent, queued[from] - sent, MSG_DONTWAIT);
      sent += taken > 0 ? taken : 1;
    }
  return count == BATCH;
}

static void open_role(int role, const char *ip, const char *port) {
  struct address *address = &roles[role];
  int v6 = strchr(ip, ':') != NULL, size = 4 << 20, yes = 1;
  address->any.sa_family = v6 ? AF_INET6 : AF_INET;
  address->v4.sin_port = htons(atoi(port));
  inet_pton(address->any.sa_family, ip, v6 ? (void *)&address->v6.sin6_addr : (void *)&address->v4.sin_addr);
  sockets[role] = socket(address->any.sa_family, SOCK_DGRAM, 0);
  setsockopt(sockets[role], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(sockets[role], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  setsockopt(sockets[role], SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  if (bind(sockets[role], &address->any, v6 ? sizeof address->v6 : sizeof address->v4) != 0) {
    perror("bind");
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  make_crc_tables();
  role_count = strcmp(argv[2], "-") == 0 ? 2 : 4;
  for (int role = 0; role < role_count; role++) open_role(role, argv[1 + role / 2], argv[3 + role % 2]);
  for (int i = 0; i < BATCH; i++) {
    received_iov[i] = (struct iovec){inbox[i], SLOT};
    received[i].msg_hdr = (struct msghdr){
        .msg_name = &names[i], .msg_namelen = sizeof names[i], .msg_iov = &received_iov[i], .msg_iovlen = 1};
    for (int role = 0; role < 4; role++)
      answers[role][i].msg_hdr = (struct msghdr){.msg_iov = &answers_iov[role][i], .msg_iovlen = 1};
  }
  struct pollfd polled[4];
  for (int role = 0; role < role_count; role++) polled[role] = (struct pollfd){sockets[role], POLLIN, 0};
  for (;;) {
    if (poll(polled, role_count, -1) <= 0) continue;
    for (int role = 0; role < role_count; role++)
      if (polled[role].revents != 0)
        for (int batch = 0; batch < 8; batch++)
          if (!answer_batch(role)) break;
  }
}
