/*
 * Latencies in nanoseconds: kept one by one, sorted at the end, written as one line of JSON with their
 * percentiles. No histogram, so no bucket decides a percentile.
 */
#ifndef LOCKSTEP_BENCH_SAMPLES_H
#define LOCKSTEP_BENCH_SAMPLES_H

#include <inttypes.h>

#include "frames.h"

struct samples {
  uint64_t* values;
  uint64_t count;
  uint64_t room;
};

static inline struct samples samples_for(uint64_t room) {
  struct samples samples = {calloc(room > 0 ? room : 1, sizeof(uint64_t)), 0, room};
  if (samples.values == NULL) die("no memory for %" PRIu64 " samples", room);
  /* Touched now, so that no page fault falls into what is measured. */
  memset(samples.values, 1, room * sizeof(uint64_t));
  return samples;
}

static inline void samples_add(struct samples* samples, uint64_t value) {
  if (samples->count < samples->room) samples->values[samples->count++] = value;
}

static inline int samples_compare(const void* left, const void* right) {
  const uint64_t a = *(const uint64_t*)left;
  const uint64_t b = *(const uint64_t*)right;
  return a < b ? -1 : a > b;
}

/* `share` in thousandths. */
static inline uint64_t samples_at(const struct samples* samples, uint64_t share) {
  if (samples->count == 0) return 0;
  return samples->values[(samples->count - 1) * share / 1000];
}

static inline void samples_print(struct samples* samples, uint64_t elapsed_ns, const char* more) {
  qsort(samples->values, samples->count, sizeof(uint64_t), samples_compare);
  printf("{\"samples\":%" PRIu64 ",\"min\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p90\":%" PRIu64 ",\"p99\":%" PRIu64
         ",\"p999\":%" PRIu64 ",\"max\":%" PRIu64 ",\"rate\":%.3f%s}\n",
         samples->count, samples_at(samples, 0), samples_at(samples, 500), samples_at(samples, 900), samples_at(samples, 990),
         samples_at(samples, 999), samples_at(samples, 1000),
         elapsed_ns > 0 ? (double)samples->count * 1e9 / (double)elapsed_ns : 0.0, more);
}

#endif
