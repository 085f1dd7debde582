/*
 * Another daemon for the kernel's userspace log, as short as one can be: every log is in sync, takes every
 * mark, and lives in this process alone. A mirror that runs on it must pass to lockstepd without anything of
 * what it knew but what stands on a log device: there it leaves what cmirrord does, header and clean bits,
 * written at each FLUSH.
 *
 * Prints `ready` when the kernel can reach it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { group = 7, header = 36, payload = 196 };
enum { luid_offset = 36, type_offset = 188, size_offset = 192, error_offset = 180, cn_length_offset = 32 };
/* luid and uuid, which lie side by side. */
enum { identity_bytes = 8 + 129, logs_max = 8, area_bytes = 65536, bits_offset = 1024 };

struct log {
  uint8_t identity[identity_bytes];
  uint64_t sectors;
  uint64_t region_sectors;
  /* -1: a core log. */
  int fd;
  char device[128];
  unsigned major_number, minor_number;
  uint8_t* area;
  int touched;
};
static struct log logs[logs_max];
static int log_count = 0;

static struct log* log_of(const uint8_t* identity) {
  for (int i = 0; i < log_count; i++) {
    if (memcmp(logs[i].identity, identity, identity_bytes) == 0) return &logs[i];
  }
  return NULL;
}

static int flush(struct log* log) {
  if (log->fd < 0 || !log->touched) return 0;
  if (pwrite(log->fd, log->area, area_bytes, 0) != area_bytes) return -5;
  log->touched = 0;
  return 0;
}

/* CTR: "<sectors> clustered-core <region sectors> ..." or "<sectors> clustered-disk <path> <region sectors>
 * ...". */
static int construct(const uint8_t* identity, char* text) {
  if (log_of(identity) != NULL) return 0;
  if (log_count == logs_max) return -12;
  struct log* log = &logs[log_count];
  memset(log, 0, sizeof(*log));
  memcpy(log->identity, identity, identity_bytes);
  log->fd = -1;
  if (sscanf(text, "%lu clustered-core %lu", &log->sectors, &log->region_sectors) != 2) {
    if (sscanf(text, "%lu clustered-disk %127s %lu", &log->sectors, log->device, &log->region_sectors) != 3)
      return -22;
    struct stat status;
    log->fd = open(log->device, O_RDWR | O_DIRECT | O_SYNC | O_CLOEXEC);
    if (log->fd < 0 || fstat(log->fd, &status) != 0) return -22;
    log->major_number = major(status.st_rdev);
    log->minor_number = minor(status.st_rdev);
    log->area = aligned_alloc(4096, area_bytes);
    if (log->area == NULL) return -12;
    const uint64_t regions = (log->sectors + log->region_sectors - 1) / log->region_sectors;
    const uint32_t magic_and_version[2] = {0x4D695272, 2};
    memset(log->area, 0, area_bytes);
    memcpy(log->area, magic_and_version, 8);
    memcpy(log->area + 8, &regions, 8);
    memset(log->area + bits_offset, 0xff, regions / 8);
    log->touched = 1;
    if (flush(log) != 0) return -5;
  }
  log_count++;
  if (log->fd < 0) return 0;
  strcpy(text, log->device);
  return (int)strlen(log->device) + 1;
}

/* MARK_REGION and CLEAR_REGION. */
static int set_clean(struct log* log, const uint8_t* data, uint32_t size, int clean) {
  for (uint32_t at = 0; log->fd >= 0 && at + 8 <= size; at += 8) {
    uint64_t region;
    memcpy(&region, data + at, 8);
    uint8_t* byte = log->area + bits_offset + region / 8;
    const uint8_t bit = (uint8_t)(1u << (region % 8));
    *byte = clean ? *byte | bit : *byte & (uint8_t)~bit;
    log->touched = 1;
  }
  return 0;
}

/* Fills in the data of the answer; returns how many bytes, or a negative errno. */
static int answer(const uint8_t* identity, uint32_t type, uint8_t* data, uint32_t size) {
  uint64_t values[2] = {1, 0};
  data[size] = 0;
  if ((type & 0xff) == 1) return construct(identity, (char*)data);
  struct log* log = log_of(identity);
  if (log == NULL) return -22;
  const uint64_t regions = (log->sectors + log->region_sectors - 1) / log->region_sectors;
  switch (type & 0xff) {
    case 2: /* DTR */
      if (log->fd >= 0) close(log->fd);
      free(log->area);
      *log = logs[--log_count];
      return 0;
    case 6:
      values[0] = log->region_sectors;
      break; /* GET_REGION_SIZE */
    case 7:  /* IS_CLEAN */
    case 8:
      break; /* IN_SYNC */
    case 9:
      return flush(log);
    case 10:
      return set_clean(log, data, size, 0);
    case 11:
      return set_clean(log, data, size, 1);
    case 14:
      values[0] = regions;
      break; /* GET_SYNC_COUNT */
    case 15:
      if (log->fd < 0) return sprintf((char*)data, "1 clustered-core");
      return sprintf((char*)data, "3 clustered-disk %u:%u A", log->major_number, log->minor_number);
    case 12:
      values[0] = 0;
      memcpy(data, values, 16);
      return 16; /* GET_RESYNC_WORK */
    case 17:
      values[0] = 0;
      values[1] = regions;
      memcpy(data, values, 16);
      return 16; /* IS_REMOTE_RECOVERING */
    default:
      return 0;
  }
  memcpy(data, values, 8);
  return 8;
}

int main(void) {
  const int fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_CONNECTOR);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  const int joined = group;
  if (fd < 0 || bind(fd, (struct sockaddr*)&address, sizeof(address)) != 0 ||
      setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &joined, sizeof(joined)) != 0) {
    perror("responder");
    return 1;
  }
  puts("ready");
  fflush(stdout);
  for (;;) {
    uint8_t frame[2048] = {0};
    if (recv(fd, frame, sizeof(frame) - 256, 0) < payload) continue;
    uint32_t type;
    uint32_t size;
    memcpy(&type, frame + type_offset, 4);
    memcpy(&size, frame + size_offset, 4);
    const int bytes = answer(frame + luid_offset, type, frame + payload, size);
    const int32_t error = bytes < 0 ? bytes : 0;
    const uint32_t room = bytes < 0 ? 0 : (uint32_t)bytes;
    const uint32_t length = payload + room;
    const uint16_t cn_length = (uint16_t)(length - header);
    memcpy(frame, &length, 4);
    memcpy(frame + cn_length_offset, &cn_length, 2);
    memcpy(frame + error_offset, &error, 4);
    memcpy(frame + size_offset, &room, 4);
    sendto(fd, frame, length, 0, (struct sockaddr*)&address, sizeof(address));
  }
}
