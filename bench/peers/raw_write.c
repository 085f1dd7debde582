/*
 * What the device itself takes: pwritev2(RWF_DSYNC) of 4 KiB, O_DIRECT, one after the other, over the blocks
 * of a file that is there already. The limit of every durable commit.
 *
 *   raw_write --file PATH --blocks N --count N --warmup N
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "samples.h"

enum { BLOCK_BYTES = 4096 };

int main(int argc, char** argv) {
  const char* path = option(argc, argv, "--file", NULL);
  const uint64_t blocks = number_option(argc, argv, "--blocks", 64);
  const uint64_t count = number_option(argc, argv, "--count", 1000);
  const uint64_t warmup = number_option(argc, argv, "--warmup", 50);
  if (path == NULL || blocks == 0) die("--file and --blocks are needed");
  const int fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
  if (fd < 0) die("%s: %s", path, strerror(errno));
  void* block = NULL;
  if (posix_memalign(&block, BLOCK_BYTES, BLOCK_BYTES) != 0) die("no memory");
  memset(block, 0x5a, BLOCK_BYTES);
  struct samples samples = samples_for(count);
  uint64_t began = 0;
  for (uint64_t i = 0; i < warmup + count; i++) {
    if (i == warmup) began = now_ns();
    memcpy(block, &i, sizeof i);
    const struct iovec part = {block, BLOCK_BYTES};
    /* The stride of submit-block.mjs: neighbours are never written one after the other. */
    const off_t offset = (off_t)(i * 37 % blocks) * BLOCK_BYTES;
    const uint64_t started = now_ns();
    if (pwritev2(fd, &part, 1, offset, RWF_DSYNC) != BLOCK_BYTES) die("%s: write: %s", path, strerror(errno));
    if (i >= warmup) samples_add(&samples, now_ns() - started);
  }
  samples_print(&samples, now_ns() - began, "");
  return 0;
}
