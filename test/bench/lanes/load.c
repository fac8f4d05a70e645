/*
 * Asks one STUN server as fast as it answers, or at a steady rate, and says in one line of JSON what came.
 *
 * load IP PORT REQUEST-FILE SECONDS RATE WINDOW
 *
 * REQUEST-FILE holds 65,536 requests of one length, one after the other, whose transaction ids end in
 * their number (16 bits, network order). RATE 0 keeps WINDOW requests under way; else RATE requests
 * leave a second, and latencies are counted. Requests leave 16 at a time by UDP_SEGMENT, so that asking costs less than answering.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { NUMBERS = 65536, GROUP = 16, BATCH = 64, SLOT = 512, BUCKETS = 100000 };

static unsigned char *requests;
static size_t request_length;
static double sent_at[NUMBERS];
static unsigned char pending[NUMBERS];
/* Latencies by microseconds. */
static unsigned buckets[BUCKETS];
static unsigned char inbox[BATCH][SLOT];
static struct mmsghdr received[BATCH];
static struct iovec received_iov[BATCH];
static uint64_t sent, answered;
static unsigned next_number;
static int client;
static struct sockaddr_storage server;
static socklen_t server_length;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Sends `count` requests, at most GROUP of them; they follow one another in the file. */
static void ask(int count, double at) {
  if (next_number + count > NUMBERS) next_number = 0;
  for (int i = 0; i < count; i++) {
    sent_at[next_number + i] = at;
    pending[next_number + i] = 1;
  }
  if (sendto(client, requests + next_number * request_length, count * request_length, 0, (struct sockaddr *)&server,
             server_length) > 0)
    sent += count;
  next_number += count;
}

static int hear(double at, int measure) {
  int count = recvmmsg(client, received, BATCH, MSG_DONTWAIT, NULL), right = 0;
  for (int i = 0; i < count; i++) {
    if (received[i].msg_len < 20) continue;
    unsigned number = inbox[i][18] << 8 | inbox[i][19];
    if (!pending[number]) continue;
    pending[number] = 0;
    right++;
    if (!measure) continue;
    double microseconds = (at - sent_at[number]) * 1e6;
    buckets[microseconds < BUCKETS - 1 ? (int)microseconds : BUCKETS - 1]++;
  }
  answered += right;
  return right;
}

static double percentile(double share) {
  uint64_t all = 0, seen = 0;
  for (int i = 0; i < BUCKETS; i++) all += buckets[i];
  for (int i = 0; i < BUCKETS; i++) {
    seen += buckets[i];
    if (all > 0 && seen >= share * all) return i + 0.5;
  }
  return -1;
}

/* Never sleeps: who answers would have to wake it, and the slower one the more often. */
static void fill_up(double seconds, int window) {
  double until = now() + seconds, at = now(), heard_at = at;
  int under_way = 0;
  while (at < until) {
    while (under_way + GROUP <= window) {
      ask(GROUP, at);
      under_way += GROUP;
    }
    int right = hear(at, 0);
    at = now();
    if (right > 0) {
      under_way -= right;
      heard_at = at;
    } else if (at - heard_at > 0.2) {
      /* What is under way has been lost. */
      under_way = 0;
      heard_at = at;
    }
  }
}

static void keep_pace(double seconds, double rate) {
  double begin = now(), until = begin + seconds, at = begin;
  while (at < until) {
    uint64_t due = (at - begin) * rate;
    if (due > sent) ask(due - sent < GROUP ? due - sent : GROUP, at);
    hear(now(), 1);
    at = now();
  }
  for (double end = at + 0.1; at < end; at = now()) hear(at, 1);
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  int v6 = strchr(argv[1], ':') != NULL, size = 8 << 20;
  FILE *file = fopen(argv[3], "rb");
  if (file == NULL) return 2;
  fseek(file, 0, SEEK_END);
  request_length = ftell(file) / NUMBERS;
  rewind(file);
  requests = malloc(request_length * NUMBERS);
  if (fread(requests, request_length, NUMBERS, file) != NUMBERS) return 2;
  double seconds = atof(argv[4]), rate = atof(argv[5]);

  if (v6) {
    struct sockaddr_in6 *address = (struct sockaddr_in6 *)&server;
    *address = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET6, argv[1], &address->sin6_addr);
  } else {
    struct sockaddr_in *address = (struct sockaddr_in *)&server;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &address->sin_addr);
  }
  server_length = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  client = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
  setsockopt(client, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  int segment = request_length;
  if (setsockopt(client, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) perror("UDP_SEGMENT");
  for (int i = 0; i < BATCH; i++) {
    received_iov[i] = (struct iovec){inbox[i], SLOT};
    received[i].msg_hdr = (struct msghdr){.msg_iov = &received_iov[i], .msg_iovlen = 1};
  }
  double began = now(), cpu = cpu_seconds();
  if (rate > 0) keep_pace(seconds, rate);
  else fill_up(seconds, atoi(argv[6]));
  double took = now() - began;
  printf("{\"seconds\":%.4f,\"sent\":%llu,\"answered\":%llu,\"cpu\":%.3f,\"p50\":%.1f,\"p99\":%.1f}\n", took,
         (unsigned long long)sent, (unsigned long long)answered, (cpu_seconds() - cpu) / took, percentile(0.5),
         percentile(0.99));
  return 0;
}
