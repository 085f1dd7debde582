/*
 * Another daemon for the kernel's userspace log, as short as one can be: every log is in sync, takes every
 * mark and keeps nothing. A mirror that runs on it must pass to lockstepd without anything of what it knew.
 *
 * Prints `ready` when the kernel can reach it. The region size is that of the last log that was constructed.
 */
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { group = 7, header = 36, payload = 196 };
enum { type_offset = 188, size_offset = 192, error_offset = 180, cn_length_offset = 32 };

static uint64_t sectors = 0;
static uint64_t region_sectors = 1;

/* Fills in the data of the answer; returns how many bytes, or a negative errno. */
static int answer(uint32_t type, uint8_t* data, uint32_t size) {
  uint64_t values[2] = {1, 0};
  const uint64_t regions = (sectors + region_sectors - 1) / region_sectors;
  switch (type & 0xff) {
    case 1: /* CTR: "<sectors> clustered-core <region sectors> ..." */
      data[size] = 0;
      if (sscanf((char*)data, "%lu clustered-core %lu", &sectors, &region_sectors) != 2) return -22;
      return 0;
    case 6:
      values[0] = region_sectors;
      break; /* GET_REGION_SIZE */
    case 7:  /* IS_CLEAN */
    case 8:
      break; /* IN_SYNC */
    case 14:
      values[0] = regions;
      break; /* GET_SYNC_COUNT */
    case 15:
      memcpy(data, "1 clustered-core", 16);
      return 16;
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
    if (recv(fd, frame, sizeof(frame) - 64, 0) < payload) continue;
    uint32_t type;
    uint32_t size;
    memcpy(&type, frame + type_offset, 4);
    memcpy(&size, frame + size_offset, 4);
    const int bytes = answer(type, frame + payload, size);
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
