/*
 * Corosync's process groups by themselves: what a cluster takes for a message when nobody makes anything of
 * it. One program on every node, all in one group:
 *
 *   cpg --role flood|ask|answer|watch --group NAME [options]
 *
 *   flood   keeps --depth (64) own multicasts of --bytes (80) under way for --milliseconds (1000),
 *           after --warmup (200) of them; the next goes when one has come back; counts those that have
 *   ask     one multicast of --bytes at a time; done when it has come back itself and every other
 *           member has answered it, by a multicast of --answer-bytes (52); --count (1000) of them
 *   answer  answers
 *   watch   says `{"left": NODE}` when a process of the group is gone, and waits for the next
 *
 *   --members N   of the group, before anything begins (3)
 *
 * Each goes by word: it says what it has done ("ready", "warm", its result as a line of JSON) and goes on
 * with a line on standard input; at the end of input it leaves.
 */
#define _GNU_SOURCE
#include <corosync/cpg.h>
#include <poll.h>
#include <unistd.h>

#include "samples.h"

enum { MESSAGE_BYTES_MAX = 65536, MEMBERS_MAX = 16, HANG_MS = 20000 };

/* What every multicast begins with. */
struct head {
  uint32_t kind;
  uint32_t node;
  uint64_t number;
};
enum { KIND_LOAD = 1, KIND_QUESTION = 2, KIND_ANSWER = 3 };

static cpg_handle_t handle;
static int group_fd;
static uint32_t own_node;
static size_t member_count;
static uint64_t message_bytes, answer_bytes;
static int answers, watches;
static uint8_t message[MESSAGE_BYTES_MAX];
/* Own multicasts that have come back; answers to the question of now, its own return included. */
static uint64_t returned;
static uint64_t question;
static uint64_t answered;

static void send_head(uint32_t kind, uint32_t node, uint64_t number, uint64_t bytes) {
  const struct head head = {kind, node, number};
  memcpy(message, &head, sizeof head);
  struct iovec part = {message, bytes};
  for (;;) {
    const cs_error_t error = cpg_mcast_joined(handle, CPG_TYPE_AGREED, &part, 1);
    if (error == CS_OK) return;
    if (error != CS_ERR_TRY_AGAIN && error != CS_ERR_NO_RESOURCES) die("cpg_mcast_joined: %d", error);
    /* Its queue is full: it has to run for that to change. */
    usleep(50);
  }
}

static void on_message(cpg_handle_t of, const struct cpg_name* group, uint32_t node, uint32_t pid,
                       void* bytes, size_t count) {
  (void)of, (void)group, (void)pid;
  struct head head;
  if (count < sizeof head) die("a multicast of %zu bytes", count);
  memcpy(&head, bytes, sizeof head);
  if (head.kind == KIND_ANSWER) {
    if (head.node == own_node && head.number == question) answered++;
    return;
  }
  if (node == own_node) returned++;
  if (node == own_node && head.kind == KIND_QUESTION && head.number == question) answered++;
  if (answers && node != own_node && head.kind == KIND_QUESTION)
    send_head(KIND_ANSWER, node, head.number, answer_bytes);
}

static void on_change(cpg_handle_t of, const struct cpg_name* group, const struct cpg_address* members,
                      size_t count, const struct cpg_address* left, size_t left_count,
                      const struct cpg_address* joined, size_t joined_count) {
  (void)of, (void)group, (void)members, (void)joined, (void)joined_count;
  member_count = count;
  for (size_t i = 0; watches && i < left_count; i++) {
    printf("{\"left\":%u}\n", left[i].nodeid);
    fflush(stdout);
  }
}

static void take_all(void) {
  const cs_error_t error = cpg_dispatch(handle, CS_DISPATCH_ALL);
  if (error != CS_OK && error != CS_ERR_TRY_AGAIN) die("cpg_dispatch: %d", error);
}

/* What has come; waits until something has. */
static void take(void) {
  struct pollfd group = {.fd = group_fd, .events = POLLIN};
  if (poll(&group, 1, HANG_MS) == 0) die("nothing came within %d ms", HANG_MS);
  take_all();
}

/* Says what is done, and takes what comes until told to go on. 0: told to end. */
static int go_on(const char* said) {
  if (said != NULL) {
    printf("%s\n", said);
    fflush(stdout);
  }
  for (;;) {
    struct pollfd both[2] = {{.fd = group_fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    if (poll(both, 2, -1) < 0) die("poll: %s", strerror(errno));
    if (both[0].revents != 0) take_all();
    char word[64];
    if (both[1].revents != 0) return read(STDIN_FILENO, word, sizeof word) > 0;
  }
}

static void join(const char* name) {
  cpg_model_v1_data_t model = {0};
  model.model = CPG_MODEL_V1;
  model.cpg_deliver_fn = on_message;
  model.cpg_confchg_fn = on_change;
  cs_error_t error = cpg_model_initialize(&handle, CPG_MODEL_V1, (cpg_model_data_t*)&model, NULL);
  if (error != CS_OK) die("cpg_initialize: %d", error);
  unsigned int node = 0;
  error = cpg_local_get(handle, &node);
  if (error != CS_OK) die("cpg_local_get: %d", error);
  own_node = node;
  struct cpg_name group = {0};
  group.length = (uint32_t)snprintf(group.value, sizeof group.value, "%s", name);
  for (int tries = 0; (error = cpg_join(handle, &group)) == CS_ERR_TRY_AGAIN && tries < 1000; tries++)
    usleep(5000);
  if (error != CS_OK) die("cpg_join: %d", error);
  error = cpg_fd_get(handle, &group_fd);
  if (error != CS_OK) die("cpg_fd_get: %d", error);
}

/* Sends as many as there is room for, and takes what comes. */
static void flood_step(uint64_t* sent, uint64_t depth) {
  while (*sent - returned < depth) send_head(KIND_LOAD, own_node, ++*sent, message_bytes);
  take();
}

static void flood(uint64_t depth, uint64_t warmup, uint64_t milliseconds) {
  uint64_t sent = 0;
  while (returned < warmup) flood_step(&sent, depth);
  while (returned < sent) take();
  if (!go_on("warm")) return;
  const uint64_t before = returned;
  const uint64_t began = now_ns();
  uint64_t now = began;
  for (const uint64_t end = began + milliseconds * 1000000u; now < end; now = now_ns())
    flood_step(&sent, depth);
  const uint64_t count = returned - before;
  while (returned < sent) take();
  printf("{\"samples\":%" PRIu64 ",\"rate\":%.3f}\n", count, (double)count * 1e9 / (double)(now - began));
  fflush(stdout);
  go_on(NULL);
}

static uint64_t ask_once(void) {
  const uint64_t began = now_ns();
  answered = 0;
  question++;
  send_head(KIND_QUESTION, own_node, question, message_bytes);
  while (answered < member_count) take();
  return now_ns() - began;
}

static void ask(uint64_t warmup, uint64_t count) {
  for (uint64_t i = 0; i < warmup; i++) ask_once();
  if (!go_on("warm")) return;
  struct samples samples = samples_for(count);
  const uint64_t began = now_ns();
  for (uint64_t i = 0; i < count; i++) samples_add(&samples, ask_once());
  samples_print(&samples, now_ns() - began, "");
  fflush(stdout);
  go_on(NULL);
}

int main(int argc, char** argv) {
  const char* role = option(argc, argv, "--role", "");
  const uint64_t depth = number_option(argc, argv, "--depth", 64);
  const uint64_t warmup = number_option(argc, argv, "--warmup", 200);
  const uint64_t members = number_option(argc, argv, "--members", 3);
  message_bytes = number_option(argc, argv, "--bytes", 80);
  answer_bytes = number_option(argc, argv, "--answer-bytes", 52);
  if (message_bytes < sizeof(struct head) || message_bytes > MESSAGE_BYTES_MAX) die("--bytes: 16 to 65536");
  if (answer_bytes < sizeof(struct head) || answer_bytes > MESSAGE_BYTES_MAX)
    die("--answer-bytes: 16 to 65536");
  answers = strcmp(role, "answer") == 0;
  watches = strcmp(role, "watch") == 0;
  join(option(argc, argv, "--group", "lockstep.bench"));
  while (member_count < members) take();
  if (answers || watches) {
    while (go_on("ready")) continue;
  } else if (strcmp(role, "flood") == 0) {
    if (go_on("ready")) flood(depth, warmup, number_option(argc, argv, "--milliseconds", 1000));
  } else if (strcmp(role, "ask") == 0) {
    if (go_on("ready")) ask(warmup, number_option(argc, argv, "--count", 1000));
  } else {
    die("--role %s: flood, ask, answer or watch", role);
  }
  cpg_finalize(handle);
  return 0;
}
