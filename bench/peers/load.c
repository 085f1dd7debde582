/*
 * The kernel's side in the bench: makes logs over a daemon's local socket, keeps a fixed number of operations
 * under way, and times each of them from its first request to its last reply. In C, so that its own cost
 * hides nothing.
 *
 *   load --socket PATH --work in_sync|remark|rewrite|fresh [options]
 *
 *   --depth N        operations under way (1)          --count N     operations measured (1000)
 *   --warmup N       operations before that (8000)     --regions N   regions a log (4096), a power of two
 *   --logs N         logs, used by turns (1)           --batch N     regions an operation, marked 32 a
 *                                                   request (1)
 *   --log-file PATH  disk log on it (one log only)     --prefix TEXT of the logs' uuids, new for every run
 *   --luid N         luid of the first log             --keep 1      leaves the logs as they are
 *   --rate N         operations a second by a timetable, instead of --depth
 *   --milliseconds N of the measured part, where --count is more than that takes (with --by-word)
 *   --first N --stride N   one of several loads on one log: its regions are every so many of the walk
 *   --by-word 1      says "made", "warm" and the result, and goes on when a line comes
 *
 * in_sync: one IN_SYNC of some region. remark: MARK and FLUSH of regions that are held already. rewrite:
 * MARK, FLUSH and CLEAR of the same regions again and again, as a kernel does whose writes end in between.
 * fresh: MARK and FLUSH of regions that nobody marked before, far apart, so that each is in another block of
 * the log where that is possible. As the kernel does it, FLUSH is sent when every MARK of the operation is
 * answered. With more than one operation under way, up to eight replies are taken by one call and the
 * requests that follow sent by one: else this program would be slower than what it is to measure. Not all
 * that are there: it and a daemon that does the same would then take turns, each waiting for the other's
 * whole batch. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "samples.h"

enum {
  GROUP_REGIONS_MAX = 32,
  LANES_MAX = 1024,
  TOGETHER_MAX = 8,
  REPLY_SECONDS_MAX = 20,
  SEQ_SLOTS = 1 << 16
};

enum work { IN_SYNC, REMARK, REWRITE, FRESH };

struct lane {
  uint64_t started_ns;
  uint64_t operation;
  uint32_t waiting;
  /* The request that it waits for, once all marks are answered. */
  uint32_t flushing;
};

static int fd;
static uint32_t next_seq = 1;
static enum work work;
static uint64_t regions, logs, batch, luid, first_step, stride;
static const char* prefix;
/* Frames one way: requests that wait to be sent, or replies that came together. */
struct frames {
  uint8_t bytes[TOGETHER_MAX][FRAME_BYTES_MAX];
  struct iovec parts[TOGETHER_MAX];
  struct mmsghdr messages[TOGETHER_MAX];
  unsigned count;
  unsigned next;
};
static struct frames requests, replies;
/* How many go together: as many as there are lanes. */
static unsigned together = 1;
static const uint8_t* reply;
/* Lane + 1 by the low bits of a request's number. */
static uint16_t lane_of_seq[SEQ_SLOTS];
static struct lane lanes[LANES_MAX];

static void aim_messages(struct frames* frames) {
  for (unsigned i = 0; i < TOGETHER_MAX; i++) {
    frames->parts[i] = (struct iovec){frames->bytes[i], FRAME_BYTES_MAX};
    frames->messages[i].msg_hdr = (struct msghdr){.msg_iov = &frames->parts[i], .msg_iovlen = 1};
  }
}

static void send_all(void) {
  for (unsigned sent = 0; sent < requests.count;) {
    const int now = sendmmsg(fd, requests.messages + sent, requests.count - sent, MSG_NOSIGNAL);
    if (now < 0) die("send: %s", strerror(errno));
    sent += (unsigned)now;
  }
  requests.count = 0;
}

static uint32_t send_request(uint64_t log, uint32_t type, const void* payload, uint32_t bytes) {
  const uint32_t seq = next_seq++;
  uint8_t* request = requests.bytes[requests.count];
  memset(request + HEADERS_BYTES, 0, PAYLOAD_AT - HEADERS_BYTES);
  put_headers(request, PAYLOAD_AT + bytes, seq);
  put32(request + 8, seq);
  put64(request + 36, luid + log * 1024);
  snprintf((char*)request + UUID_AT, 129, "%s-%llu", prefix, (unsigned long long)log);
  put32(request + 176, 3);
  put32(request + 184, seq);
  put32(request + 188, type);
  put32(request + 192, bytes);
  if (bytes > 0) memcpy(request + PAYLOAD_AT, payload, bytes);
  if (together == 1) {
    if (send(fd, request, PAYLOAD_AT + bytes, MSG_NOSIGNAL) < 0) die("send: %s", strerror(errno));
    return seq;
  }
  requests.parts[requests.count++].iov_len = PAYLOAD_AT + bytes;
  if (requests.count == together) send_all();
  return seq;
}

/* At least one reply, all that are there at most; before that, what waits to be sent. */
static void receive_replies(void) {
  send_all();
  int count = 1;
  if (together == 1) {
    const ssize_t length = recv(fd, replies.bytes[0], FRAME_BYTES_MAX, 0);
    replies.messages[0].msg_len = length > 0 ? (unsigned)length : 0;
    if (length < 0) count = -1;
  } else {
    count = recvmmsg(fd, replies.messages, together, MSG_WAITFORONE, NULL);
  }
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) die("no reply within %d s", REPLY_SECONDS_MAX);
  if (count < 0) die("receive: %s", strerror(errno));
  replies.count = (unsigned)count;
  replies.next = 0;
}

/* The next reply: its number, and its error as the kernel would see it. */
static uint32_t receive_reply(int* error) {
  if (replies.next == replies.count) receive_replies();
  reply = replies.bytes[replies.next];
  const unsigned length = replies.messages[replies.next++].msg_len;
  if (length == 0) die("the daemon is gone");
  if (length < HEADERS_BYTES) die("a reply of %u bytes", length);
  if (get16(reply + 32) == 0) {
    *error = -(int)get32(reply + 28);
    return get32(reply + 24);
  }
  *error = (int)get32(reply + 180);
  return frame_seq(reply);
}

/* One request on its own, before and after the measurement. */
static void ask(uint64_t log, uint32_t type, const void* payload, uint32_t bytes, int must) {
  const uint32_t seq = send_request(log, type, payload, bytes);
  int error;
  while (receive_reply(&error) != seq) continue;
  if (error != 0 && must) die("request type %u of log %llu: error %d", type, (unsigned long long)log, error);
}

static void make_logs(const char* file) {
  const uint64_t region_sectors = 8;
  char text[1024];
  for (uint64_t log = 0; log < logs; log++) {
    const unsigned long long sectors = regions * region_sectors;
    if (file == NULL)
      snprintf(text, sizeof text, "%llu clustered-core 8 nosync", sectors);
    else
      snprintf(text, sizeof text, "%llu clustered-disk %s 8 nosync", sectors, file);
    ask(log, REQUEST_CTR, text, (uint32_t)strlen(text), 1);
    ask(log, REQUEST_RESUME, NULL, 0, 1);
  }
}

static void remove_logs(void) {
  for (uint64_t log = 0; log < logs; log++) {
    ask(log, REQUEST_PRESUSPEND, NULL, 0, 1);
    ask(log, REQUEST_POSTSUSPEND, NULL, 0, 1);
    ask(log, REQUEST_DTR, NULL, 0, 1);
  }
}

/* Odd, so that the walk meets every region of a power of two before it meets one twice; more than one log
 * block. */
static uint64_t region_of(uint64_t own_step) {
  const uint64_t step = first_step + own_step * stride;
  if (work != FRESH) return step * 40503u % regions;
  return step * (regions > 65536 ? 163855u : 5u) % regions;
}

static void send_for(struct lane* lane, uint64_t log, uint32_t type, const void* payload, uint32_t bytes) {
  const uint32_t seq = send_request(log, type, payload, bytes);
  lane_of_seq[seq % SEQ_SLOTS] = (uint16_t)(lane - lanes + 1);
  lane->waiting++;
}

static void start(struct lane* lane, uint64_t operation) {
  uint64_t group[GROUP_REGIONS_MAX];
  const uint64_t log = operation % logs;
  lane->operation = operation;
  lane->flushing = 0;
  lane->waiting = 0;
  lane->started_ns = now_ns();
  if (work == IN_SYNC) {
    group[0] = region_of(operation);
    send_for(lane, log, REQUEST_IN_SYNC, group, 8);
    return;
  }
  /* A lane re-marks its own regions, so that they are held by the second time; fresh ones never come again.
   */
  const uint64_t first = work == FRESH ? operation / logs * batch : (uint64_t)(lane - lanes) * batch;
  for (uint64_t done = 0; done < batch;) {
    uint32_t count = 0;
    for (; count < GROUP_REGIONS_MAX && done < batch; count++, done++) group[count] = region_of(first + done);
    send_for(lane, log, REQUEST_MARK, group, count * 8);
  }
}

static void clear_regions(struct lane* lane) {
  uint64_t group[GROUP_REGIONS_MAX];
  lane->flushing = REQUEST_CLEAR;
  for (uint64_t done = 0; done < batch;) {
    uint32_t count = 0;
    for (; count < GROUP_REGIONS_MAX && done < batch; count++, done++)
      group[count] = region_of((uint64_t)(lane - lanes) * batch + done);
    send_for(lane, lane->operation % logs, REQUEST_CLEAR, group, count * 8);
  }
}

/* Takes one reply; returns the lane whose operation ended with it, or NULL. */
static struct lane* take_reply(void) {
  int error;
  const uint32_t seq = receive_reply(&error);
  const uint16_t found = lane_of_seq[seq % SEQ_SLOTS];
  if (found == 0) die("a reply to %u, which nobody waits for", seq);
  lane_of_seq[seq % SEQ_SLOTS] = 0;
  if (error != 0) die("error %d", error);
  struct lane* lane = &lanes[found - 1];
  if (--lane->waiting > 0) return NULL;
  if (work == IN_SYNC) {
    if (frame_data_bytes(reply) != 8 || get64(reply + PAYLOAD_AT) != 1) die("a region is not in sync");
    return lane;
  }
  if (lane->flushing == REQUEST_FLUSH && work == REWRITE) {
    clear_regions(lane);
    return NULL;
  }
  if (lane->flushing != 0) return lane;
  lane->flushing = REQUEST_FLUSH;
  send_for(lane, lane->operation % logs, REQUEST_FLUSH, NULL, 0);
  return NULL;
}

/* As many under way as there are lanes, each by turns: the next operation starts when one has ended. */
static struct samples measure(uint64_t depth, uint64_t warmup, uint64_t count, uint64_t* elapsed_ns) {
  struct samples samples = samples_for(count);
  uint64_t next = 0;
  uint64_t ended = 0;
  uint64_t began = now_ns();
  for (uint64_t i = 0; i < depth; i++) start(&lanes[i], next++);
  while (ended < warmup + count) {
    struct lane* lane = take_reply();
    if (lane == NULL) continue;
    const uint64_t now = now_ns();
    ended++;
    if (ended > warmup) samples_add(&samples, now - lane->started_ns);
    if (ended == warmup) began = now;
    if (next < warmup + count) start(lane, next++);
  }
  *elapsed_ns = now_ns() - began;
  return samples;
}

/* Says what is done, and goes on when told to; without anybody to tell it ends. */
static void by_word(const char* said) {
  printf("%s\n", said);
  fflush(stdout);
  char word[64];
  if (read(STDIN_FILENO, word, sizeof word) <= 0) exit(0);
}

/*
 * The same in parts, each of which ends with nothing under way: `count` operations, or what ends within so
 * many milliseconds. What is under way then is waited for and not counted. No region is fresh in two parts.
 */
static struct samples measure_part(uint64_t depth, uint64_t count, uint64_t milliseconds,
                                   uint64_t* elapsed_ns) {
  static uint64_t next;
  struct samples samples = samples_for(count);
  const uint64_t began = now_ns();
  const uint64_t end = milliseconds > 0 ? began + milliseconds * 1000000u : UINT64_MAX;
  uint64_t started = 0;
  uint64_t now = began;
  for (; started < depth && started < count; started++) start(&lanes[started], next++);
  for (uint64_t ended = 0; ended < started;) {
    struct lane* lane = take_reply();
    if (lane == NULL) continue;
    ended++;
    now = now_ns();
    if (now >= end) continue;
    samples_add(&samples, now - lane->started_ns);
    if (started == count) continue;
    start(lane, next++);
    started++;
  }
  if (milliseconds > 0 && now < end) die("--count operations took less than --milliseconds");
  *elapsed_ns = (milliseconds > 0 ? end : now) - began;
  return samples;
}

/* Waits for a reply until `due`; 0 when there is none. */
static int reply_until(uint64_t due) {
  const uint64_t now = now_ns();
  const uint64_t left = due > now ? due - now : 0;
  const struct timespec wait = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
  struct pollfd socket = {.fd = fd, .events = POLLIN};
  return ppoll(&socket, 1, &wait, NULL) > 0;
}

/*
 * `rate` operations a second by a timetable, whatever the daemon does: when it stalls, all that were due
 * meanwhile are late, where a load that waits for each reply would count one. A sample begins when its
 * request is sent, or when it was due if every lane was taken then: that this program was woken late is
 * nobody's fault.
 */
static struct samples measure_open(uint64_t rate, uint64_t warmup, uint64_t count, uint64_t* elapsed_ns) {
  struct samples samples = samples_for(count);
  static struct lane* idle[LANES_MAX];
  uint64_t idle_count = 0;
  for (; idle_count < LANES_MAX; idle_count++) idle[idle_count] = &lanes[idle_count];
  const uint64_t total = warmup + count;
  const uint64_t began = now_ns();
  uint64_t counted_from = began;
  uint64_t next = 0;
  int crowded = 0;
  for (uint64_t ended = 0; ended < total;) {
    uint64_t due = began + next * 1000000000u / rate;
    for (; next < total && idle_count > 0 && due <= now_ns(); due = began + next * 1000000000u / rate) {
      struct lane* lane = idle[--idle_count];
      start(lane, next++);
      if (crowded) lane->started_ns = due;
    }
    crowded = idle_count == 0;
    const uint64_t limit = now_ns() + (uint64_t)REPLY_SECONDS_MAX * 1000000000u;
    if (!reply_until(next < total && !crowded ? due : limit)) {
      if (now_ns() >= limit) die("no reply within %d s", REPLY_SECONDS_MAX);
      continue;
    }
    struct lane* lane = take_reply();
    if (lane == NULL) continue;
    ended++;
    if (ended > warmup) samples_add(&samples, now_ns() - lane->started_ns);
    if (ended == warmup) counted_from = now_ns();
    idle[idle_count++] = lane;
  }
  *elapsed_ns = now_ns() - counted_from;
  return samples;
}

static enum work work_named(const char* name) {
  if (strcmp(name, "in_sync") == 0) return IN_SYNC;
  if (strcmp(name, "remark") == 0) return REMARK;
  if (strcmp(name, "rewrite") == 0) return REWRITE;
  if (strcmp(name, "fresh") == 0) return FRESH;
  die("--work %s: in_sync, remark, rewrite or fresh", name);
}

static void reach(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) die("%s: too long for a socket", path);
  strcpy(address.sun_path, path);
  fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr*)&address, sizeof address) != 0)
    die("%s: %s", path, strerror(errno));
  const int bytes = SOCKET_BUFFER_BYTES;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  const struct timeval limit = {.tv_sec = REPLY_SECONDS_MAX};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

int main(int argc, char** argv) {
  work = work_named(option(argc, argv, "--work", "in_sync"));
  regions = number_option(argc, argv, "--regions", 4096);
  logs = number_option(argc, argv, "--logs", 1);
  batch = number_option(argc, argv, "--batch", 1);
  luid = number_option(argc, argv, "--luid", 4096);
  prefix = option(argc, argv, "--prefix", "bench");
  const uint64_t depth = number_option(argc, argv, "--depth", 1);
  const uint64_t rate = number_option(argc, argv, "--rate", 0);
  const uint64_t warmup = number_option(argc, argv, "--warmup", 8000);
  const uint64_t count = number_option(argc, argv, "--count", 1000);
  const uint64_t milliseconds = number_option(argc, argv, "--milliseconds", 0);
  const int words = number_option(argc, argv, "--by-word", 0) != 0;
  first_step = number_option(argc, argv, "--first", 0);
  stride = number_option(argc, argv, "--stride", 1);
  const char* file = option(argc, argv, "--log-file", NULL);
  const char* path = option(argc, argv, "--socket", NULL);
  if (path == NULL) die("--socket is missing");
  if (depth == 0 || depth > LANES_MAX) die("--depth: 1 to %d", LANES_MAX);
  if (regions == 0 || (regions & (regions - 1)) != 0) die("--regions: a power of two");
  if (file != NULL && logs > 1) die("one disk log a file");
  if (milliseconds > 0 && !words) die("--milliseconds needs --by-word");
  if (work == FRESH && first_step + (warmup + count) / logs * batch * stride > regions)
    die("fresh regions run out");
  /* A lane's log goes by its operation: with a depth that the logs divide, a lane keeps to one log. */
  if ((work == REMARK || work == REWRITE) && depth * batch * stride > regions)
    die("--depth times --batch times --stride: at most --regions");
  /* Fifty microseconds late is what the kernel allows itself with the timers of others. */
  if (prctl(PR_SET_TIMERSLACK, 1) != 0) die("timer slack: %s", strerror(errno));
  aim_messages(&requests);
  aim_messages(&replies);
  reach(path);
  make_logs(file);
  if (words) by_word("made");
  if (rate == 0) together = depth < TOGETHER_MAX ? (unsigned)depth : TOGETHER_MAX;
  uint64_t elapsed_ns = 0;
  struct samples samples;
  if (rate > 0) {
    samples = measure_open(rate, warmup, count, &elapsed_ns);
  } else if (words) {
    measure_part(depth, warmup, 0, &elapsed_ns);
    by_word("warm");
    samples = measure_part(depth, count, milliseconds, &elapsed_ns);
  } else {
    samples = measure(depth, warmup, count, &elapsed_ns);
  }
  together = 1;
  char more[64];
  snprintf(more, sizeof more, ",\"core\":%d", current_core());
  if (words) {
    samples_print(&samples, elapsed_ns, more);
    by_word("measured");
  }
  if (number_option(argc, argv, "--keep", 0) == 0) remove_logs();
  if (!words) samples_print(&samples, elapsed_ns, more);
  return 0;
}
