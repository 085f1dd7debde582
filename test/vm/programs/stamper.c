/*
 * Writes stamped blocks of 4 KiB to a device, around the cache, as a node of a cluster would: only its own
 * blocks.
 *
 *   stamper DEVICE NODE TABLE BLOCK...   random ones of them, 16 at a time, until SIGTERM; the last write
 * of each ends first stamper DEVICE NODE turn N BLOCK...  all of them in one write, with the sequence number
 * N; they follow one another
 *
 * A stamp, 16 bytes, fills its block: magic, node, sequence, block. Sequences count per block, from what
 * stands there at the start: a block must be empty or one stamp all over, else the program ends with 1 and
 * says so. TABLE gets the sequence of each block's last write that has ended, 32 bits a block, in the order
 * of the arguments. Before a turn all the blocks must have the same stamp; `NODE SEQUENCE` of it is printed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { block_bytes = 4096, block_alignment = 4096, writers = 16, stamp_magic = 0x53544d50 };

struct Stamp {
  uint32_t magic;
  uint32_t node;
  uint32_t sequence;
  uint32_t block;
};
enum { stamps = block_bytes / sizeof(struct Stamp) };

static int device;
static int table;
static uint32_t node;
static int block_count;
static uint32_t* blocks;
static uint32_t* sequences;
static atomic_bool ended;

static void fail(const char* what, uint32_t block) {
  fprintf(stderr, "stamper: block %u: %s\n", block, what);
  exit(1);
}

static struct Stamp* room(size_t bytes) {
  struct Stamp* made = aligned_alloc(block_alignment, bytes);
  if (made == NULL) abort();
  return made;
}

/* All zero where nothing was written. */
static struct Stamp read_stamp(uint32_t block, struct Stamp* buffer) {
  if (pread(device, buffer, block_bytes, (off_t)block * block_bytes) != block_bytes)
    fail("cannot be read", block);
  for (int i = 1; i < stamps; i++) {
    if (memcmp(&buffer[i], &buffer[0], sizeof *buffer) != 0) fail("two stamps in one block", block);
  }
  const struct Stamp found = buffer[0];
  if (found.magic != 0 && (found.magic != stamp_magic || found.block != block)) fail("no stamp of it", block);
  return found;
}

static void fill(uint32_t block, uint32_t sequence, struct Stamp* buffer) {
  for (int i = 0; i < stamps; i++) buffer[i] = (struct Stamp){stamp_magic, node, sequence, block};
}

static void write_stamp(uint32_t block, uint32_t sequence, struct Stamp* buffer) {
  fill(block, sequence, buffer);
  if (pwrite(device, buffer, block_bytes, (off_t)block * block_bytes) != block_bytes)
    fail("cannot be written", block);
}

static void record(int index) {
  const off_t at = (off_t)index * (off_t)sizeof(uint32_t);
  if (pwrite(table, &sequences[index], sizeof(uint32_t), at) != sizeof(uint32_t))
    fail("not recorded", blocks[index]);
}

/* Each has blocks of its own, so no two writes are on their way to one. */
static void* write_blocks(void* number) {
  const int first = (int)(intptr_t)number;
  const int own = (block_count - first + writers - 1) / writers;
  unsigned chance = (unsigned)time(NULL) * writers + (unsigned)first;
  struct Stamp* buffer = room(block_bytes);
  while (own > 0 && !ended) {
    const int index = first + writers * (int)((unsigned)rand_r(&chance) % (unsigned)own);
    write_stamp(blocks[index], sequences[index] + 1, buffer);
    sequences[index] += 1;
    record(index);
  }
  free(buffer);
  return NULL;
}

static void end(int signal_number) {
  (void)signal_number;
  ended = true;
}

static void write_until_end(const char* table_path) {
  signal(SIGTERM, end);
  table = open(table_path, O_WRONLY | O_CREAT, 0644);
  if (table < 0) {
    perror(table_path);
    exit(1);
  }
  struct Stamp* buffer = room(block_bytes);
  for (int i = 0; i < block_count; i++) {
    const struct Stamp found = read_stamp(blocks[i], buffer);
    if (found.magic != 0 && found.node != node) fail("the stamp of another node", blocks[i]);
    sequences[i] = found.sequence;
    record(i);
  }
  free(buffer);
  puts("ready");
  fflush(stdout);
  pthread_t threads[writers];
  for (intptr_t i = 0; i < writers; i++) {
    if (pthread_create(&threads[i], NULL, write_blocks, (void*)i) != 0) abort();
  }
  for (int i = 0; i < writers; i++) pthread_join(threads[i], NULL);
}

static void take_turn(uint32_t sequence) {
  const size_t bytes = (size_t)block_count * block_bytes;
  struct Stamp* buffer = room(bytes);
  struct Stamp before = {0, 0, 0, 0};
  for (int i = 0; i < block_count; i++) {
    const struct Stamp found = read_stamp(blocks[i], buffer);
    if (i > 0 && (found.node != before.node || found.sequence != before.sequence))
      fail("not of one turn", blocks[i]);
    before = found;
  }
  printf("%u %u\n", before.node, before.sequence);
  for (int i = 0; i < block_count; i++) fill(blocks[i], sequence, buffer + i * stamps);
  if (pwrite(device, buffer, bytes, (off_t)blocks[0] * block_bytes) != (ssize_t)bytes)
    fail("cannot be written", blocks[0]);
  free(buffer);
}

int main(int count, char** arguments) {
  if (count < 5) return 2;
  const bool is_turn = strcmp(arguments[3], "turn") == 0;
  const int first = is_turn ? 5 : 4;
  block_count = count - first;
  node = (uint32_t)atoi(arguments[2]);
  blocks = calloc((size_t)count, sizeof *blocks);
  sequences = calloc((size_t)count, sizeof *sequences);
  if (blocks == NULL || sequences == NULL) abort();
  for (int i = 0; i < block_count; i++) blocks[i] = (uint32_t)atoi(arguments[first + i]);
  device = open(arguments[1], O_RDWR | O_DIRECT);
  if (device < 0) {
    perror(arguments[1]);
    return 1;
  }
  if (is_turn) {
    take_turn((uint32_t)atoi(arguments[4]));
  } else {
    write_until_end(arguments[3]);
  }
  return 0;
}
