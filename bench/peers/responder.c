/*
 * The floor: the least that a daemon can do for the kernel's userspace dirty log, in C. One thread, one
 * blocking recvmsg and one sendmsg a request, the same frames and socket buffers as the daemon.
 *
 *   responder --socket PATH    listens on a local socket (SOCK_SEQPACKET) for one client after the other
 *   responder --connector      answers the kernel on its connector (in a guest; needs root)
 *   ... --log FILE --blocks N  keeps clean bits in memory, as the log format has them, and writes each
 * changed 4 KiB block with pwritev2(RWF_DSYNC) before it answers the FLUSH: the same durable write, inline
 *
 * It has no state but that: every region is in sync, nothing is to be recovered, nothing survives its end.
 * Prints "ready".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "frames.h"

enum { BLOCK_BYTES = 4096, LOG_BITS_AT = 1024, CONNECTOR_PROTOCOL = 11, CONNECTOR_GROUP = 7 };

struct log {
  int fd;
  uint64_t blocks;
  uint8_t* image;
  uint8_t* changed;
  uint64_t changed_first;
  uint64_t changed_end;
};

static uint64_t region_count;
static uint64_t region_sectors;
static struct log the_log = {.fd = -1};

static void open_log(const char* path, uint64_t blocks) {
  the_log.fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
  if (the_log.fd < 0) die("%s: %s", path, strerror(errno));
  the_log.blocks = blocks;
  void* image = NULL;
  if (posix_memalign(&image, BLOCK_BYTES, blocks * BLOCK_BYTES) != 0) die("no memory");
  the_log.image = image;
  the_log.changed = calloc(blocks, 1);
  memset(image, 0xff, blocks * BLOCK_BYTES);
}

static void forget_marks(void) {
  if (the_log.fd < 0) return;
  memset(the_log.image, 0xff, the_log.blocks * BLOCK_BYTES);
}

/* Sets or drops a region's clean bit; notes the block when that changed it. */
static void assign_clean(uint64_t region, int clean) {
  const uint64_t byte = LOG_BITS_AT + region / 8;
  const uint8_t mask = (uint8_t)(1u << (region % 8));
  if (byte / BLOCK_BYTES >= the_log.blocks) die("region %llu is outside the log", (unsigned long long)region);
  if (((the_log.image[byte] & mask) != 0) == clean) return;
  the_log.image[byte] ^= mask;
  const uint64_t block = byte / BLOCK_BYTES;
  the_log.changed[block] = 1;
  if (the_log.changed_first >= the_log.changed_end) {
    the_log.changed_first = block;
    the_log.changed_end = block + 1;
  }
  if (block < the_log.changed_first) the_log.changed_first = block;
  if (block >= the_log.changed_end) the_log.changed_end = block + 1;
}

/* One block is one durable write; more are writes and one fdatasync, as the daemon's writer does it. */
static void write_changes(void) {
  uint64_t count = 0;
  for (uint64_t block = the_log.changed_first; block < the_log.changed_end; block++)
    count += the_log.changed[block];
  for (uint64_t block = the_log.changed_first; block < the_log.changed_end; block++) {
    if (!the_log.changed[block]) continue;
    the_log.changed[block] = 0;
    const struct iovec part = {the_log.image + block * BLOCK_BYTES, BLOCK_BYTES};
    const off_t offset = (off_t)(block * BLOCK_BYTES);
    if (pwritev2(the_log.fd, &part, 1, offset, count == 1 ? RWF_DSYNC : 0) != BLOCK_BYTES)
      die("log: %s", strerror(errno));
  }
  if (count > 1 && fdatasync(the_log.fd) != 0) die("log: %s", strerror(errno));
  the_log.changed_first = the_log.changed_end = 0;
}

/* "<sectors> clustered-core <region size> ..." or "<sectors> clustered-disk <device> <region size> ..." */
static void read_constructor(const char* text) {
  unsigned long long sectors = 0;
  unsigned long long size = 0;
  if (sscanf(text, "%llu clustered-core %llu", &sectors, &size) != 2 &&
      sscanf(text, "%llu clustered-disk %*s %llu", &sectors, &size) != 2)
    die("constructor not understood: %s", text);
  region_sectors = size;
  region_count = (sectors + size - 1) / size;
}

static uint32_t answer_text(uint8_t* reply, const char* text) {
  memcpy(reply + PAYLOAD_AT, text, strlen(text));
  return (uint32_t)strlen(text);
}

static uint32_t answer_values(uint8_t* reply, uint64_t first, uint64_t second, uint32_t bytes) {
  put64(reply + PAYLOAD_AT, first);
  if (bytes > 8) put64(reply + PAYLOAD_AT + 8, second);
  return bytes;
}

/* Fills in the payload of the reply; returns its length. */
static uint32_t answer(const uint8_t* request, uint8_t* reply) {
  const uint8_t* data = request + PAYLOAD_AT;
  const uint32_t bytes = frame_data_bytes(request);
  switch (frame_type(request)) {
    case REQUEST_CTR: {
      char text[FRAME_BYTES_MAX] = {0};
      memcpy(text, data, bytes);
      read_constructor(text);
      forget_marks();
      return 0;
    }
    case REQUEST_GET_REGION_SIZE:
      return answer_values(reply, region_sectors, 0, 8);
    case REQUEST_IS_CLEAN:
    case REQUEST_IN_SYNC:
      return answer_values(reply, 1, 0, 8);
    case REQUEST_MARK:
    case REQUEST_CLEAR:
      if (the_log.fd < 0) return 0;
      for (uint32_t at = 0; at < bytes; at += 8)
        assign_clean(get64(data + at), frame_type(request) == REQUEST_CLEAR);
      return 0;
    case REQUEST_FLUSH:
      if (the_log.changed_end > the_log.changed_first) write_changes();
      return 0;
    case REQUEST_GET_RESYNC_WORK:
      return answer_values(reply, 0, 0, 16);
    case REQUEST_GET_SYNC_COUNT:
      return answer_values(reply, region_count, 0, 8);
    case REQUEST_IS_REMOTE_RECOVERING:
      return answer_values(reply, 0, region_count, 16);
    case REQUEST_STATUS_INFO:
      return answer_text(reply, "1 clustered-core");
    default:
      return 0;
  }
}

/* Writes the reply to `request` into `reply`; returns its length. CLEAR is answered in ack form, as the
 * daemon does. */
static uint32_t respond(const uint8_t* request, uint8_t* reply) {
  const uint32_t seq = frame_seq(request);
  if (frame_type(request) == REQUEST_CLEAR) {
    answer(request, reply);
    put_headers(reply, HEADERS_BYTES, seq);
    return HEADERS_BYTES;
  }
  memset(reply + HEADERS_BYTES, 0, PAYLOAD_AT - HEADERS_BYTES);
  const uint32_t bytes = answer(request, reply);
  put_headers(reply, PAYLOAD_AT + bytes, seq);
  put32(reply + 176, 3);
  put32(reply + 184, seq);
  put32(reply + 188, frame_type(request));
  put32(reply + 192, bytes);
  return PAYLOAD_AT + bytes;
}

/* Serves one socket until its other end is gone. */
static void serve(int fd) {
  static _Alignas(8) uint8_t request[FRAME_BYTES_MAX];
  static _Alignas(8) uint8_t reply[FRAME_BYTES_MAX];
  for (;;) {
    struct iovec in = {request, sizeof request};
    struct msghdr received = {.msg_iov = &in, .msg_iovlen = 1};
    const ssize_t length = recvmsg(fd, &received, 0);
    if (length < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
    if (length <= 0) return;
    if (length < PAYLOAD_AT || get32(request + 16) != 7 || get32(request + 20) != 1 ||
        frame_data_bytes(request) > (uint32_t)length - PAYLOAD_AT)
      continue;
    struct iovec out = {reply, respond(request, reply)};
    const struct msghdr sent = {.msg_iov = &out, .msg_iovlen = 1};
    if (sendmsg(fd, &sent, MSG_NOSIGNAL) < 0) return;
  }
}

static void serve_connector(void) {
  const int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, CONNECTOR_PROTOCOL);
  if (fd < 0) die("connector: %s", strerror(errno));
  const struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  const int group = CONNECTOR_GROUP;
  const int bytes = 8 << 20;
  if (bind(fd, (const struct sockaddr*)&address, sizeof address) != 0 ||
      setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
    die("connector: %s", strerror(errno));
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  puts("ready");
  fflush(stdout);
  serve(fd);
  die("connector: %s", strerror(errno));
}

static void serve_clients(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) die("%s: too long for a socket", path);
  strcpy(address.sun_path, path);
  unlink(path);
  const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (const struct sockaddr*)&address, sizeof address) != 0 ||
      listen(listener, 4) != 0)
    die("%s: %s", path, strerror(errno));
  puts("ready");
  fflush(stdout);
  for (;;) {
    const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) die("%s: %s", path, strerror(errno));
    const int bytes = SOCKET_BUFFER_BYTES;
    setsockopt(client, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    serve(client);
    close(client);
  }
}

int main(int argc, char** argv) {
  const char* log = option(argc, argv, "--log", NULL);
  if (log != NULL) open_log(log, number_option(argc, argv, "--blocks", 1));
  const char* path = option(argc, argv, "--socket", NULL);
  if (path != NULL)
    serve_clients(path);
  else
    serve_connector();
}
