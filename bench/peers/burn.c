/*
 * Load beside a floor: two threads that each compute for 20 ms of every 50, as main and admin thread of the
 * daemon do in the same measurement. Ends with its parent's pipe (standard input).
 *
 *   burn --threads N --busy-ms N --period-ms N
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <unistd.h>

#include "frames.h"

static uint64_t busy_ns;
static uint64_t period_ns;

static void* burn(void* unused) {
  (void)unused;
  volatile uint64_t sink = 0;
  for (uint64_t next = now_ns();; next += period_ns) {
    while (now_ns() < next + busy_ns)
      for (int i = 0; i < 1000; i++) sink += (uint64_t)i;
    const uint64_t now = now_ns();
    if (now >= next + period_ns) continue;
    const uint64_t rest = next + period_ns - now;
    const struct timespec pause = {(time_t)(rest / 1000000000u), (long)(rest % 1000000000u)};
    nanosleep(&pause, NULL);
  }
  return NULL;
}

int main(int argc, char** argv) {
  busy_ns = number_option(argc, argv, "--busy-ms", 20) * 1000000u;
  period_ns = number_option(argc, argv, "--period-ms", 50) * 1000000u;
  const uint64_t threads = number_option(argc, argv, "--threads", 2);
  for (uint64_t i = 0; i < threads; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, burn, NULL) != 0) die("no thread");
  }
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  return 0;
}
