/*
 * The frames of the kernel's userspace dirty log, as the programs of the bench build and read them: netlink
 * header, connector header, request header, payload (docs/dirty-log.md, 1.2). Written for themselves, without
 * the daemon's code, so that a fault of the one is no excuse for the other. Also what all of them need: a
 * clock, a pinned core, an end with a reason.
 */
#ifndef LOCKSTEP_BENCH_FRAMES_H
#define LOCKSTEP_BENCH_FRAMES_H

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  FRAME_BYTES_MAX = 2048,
  HEADERS_BYTES = 36,
  PAYLOAD_AT = 196,
  UUID_AT = 44,
  SOCKET_BUFFER_BYTES = 1 << 20,
};

enum {
  REQUEST_CTR = 1,
  REQUEST_DTR = 2,
  REQUEST_PRESUSPEND = 3,
  REQUEST_POSTSUSPEND = 4,
  REQUEST_RESUME = 5,
  REQUEST_GET_REGION_SIZE = 6,
  REQUEST_IS_CLEAN = 7,
  REQUEST_IN_SYNC = 8,
  REQUEST_FLUSH = 9,
  REQUEST_MARK = 10,
  REQUEST_CLEAR = 11,
  REQUEST_GET_RESYNC_WORK = 12,
  REQUEST_SET_REGION_SYNC = 13,
  REQUEST_GET_SYNC_COUNT = 14,
  REQUEST_STATUS_INFO = 15,
  REQUEST_STATUS_TABLE = 16,
  REQUEST_IS_REMOTE_RECOVERING = 17,
};

static inline uint16_t get16(const uint8_t* at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static inline uint32_t get32(const uint8_t* at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static inline uint64_t get64(const uint8_t* at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static inline void put16(uint8_t* at, uint16_t value) { memcpy(at, &value, sizeof value); }
static inline void put32(uint8_t* at, uint32_t value) { memcpy(at, &value, sizeof value); }
static inline void put64(uint8_t* at, uint64_t value) { memcpy(at, &value, sizeof value); }

static inline uint32_t frame_seq(const uint8_t* frame) { return get32(frame + 184); }
static inline uint32_t frame_type(const uint8_t* frame) { return frame[188]; }
static inline uint32_t frame_data_bytes(const uint8_t* frame) { return get32(frame + 192); }

/* Netlink and connector header for `length` bytes in all. */
static inline void put_headers(uint8_t* frame, uint32_t length, uint32_t seq) {
  put32(frame, length);
  put16(frame + 4, 3);
  put16(frame + 6, 0);
  put32(frame + 8, 0);
  put32(frame + 12, 0);
  put32(frame + 16, 7);
  put32(frame + 20, 1);
  put32(frame + 24, seq);
  put32(frame + 28, 0);
  put16(frame + 32, (uint16_t)(length - HEADERS_BYTES));
  put16(frame + 34, 0);
}

static inline uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void die(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

/* The value behind `--name` among the arguments, or `fallback`. */
static inline const char* option(int count, char** arguments, const char* name, const char* fallback) {
  for (int i = 1; i + 1 < count; i++)
    if (strcmp(arguments[i], name) == 0) return arguments[i + 1];
  return fallback;
}

static inline uint64_t number_option(int count, char** arguments, const char* name, uint64_t fallback) {
  const char* text = option(count, arguments, name, NULL);
  if (text == NULL) return fallback;
  char* end;
  errno = 0;
  const uint64_t value = strtoull(text, &end, 10);
  if (errno != 0 || *text == '\0' || *end != '\0') die("%s %s: not a number", name, text);
  return value;
}

/* The core this process runs on now and, when pinned by whoever started it, always. */
static inline int current_core(void) { return sched_getcpu(); }

#endif
