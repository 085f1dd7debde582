// Submissions that the kernel refuses: for a while, they are offered again and nothing is lost; for good,
// they end with the errno. Seccomp stands for the kernel: a filter of one thread hands its io_uring_enter
// calls to this process, which answers them.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <vector>

#include "os/event_fd.h"
#include "os/fd.h"
#include "os/io_queue.h"
#include "tests/os_support.h"

using namespace lockstep;
using namespace std::chrono_literals;
using Kind = IoRequest::Kind;

namespace {

/// Hands this thread's io_uring_enter calls to whoever reads the descriptor; -1 where that is not to be had.
int listen_to_submissions() {
  std::array<sock_filter, 4> code = {
      sock_filter(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))),
      sock_filter(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_enter, 0, 1)),
      sock_filter(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)),
      sock_filter(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)),
  };
  const sock_fprog program = {static_cast<unsigned short>(code.size()), code.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return static_cast<int>(
      syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

/// Has the kernel refuse this thread io_uring altogether, as a container's filter does. False where that is
/// not to be had.
bool forbid_uring() {
  std::array<sock_filter, 4> code = {
      sock_filter(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))),
      sock_filter(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1)),
      sock_filter(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)),
      sock_filter(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)),
  };
  const sock_fprog program = {static_cast<unsigned short>(code.size()), code.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

/// Refuses the first `refusals` calls with `error` and lets the others through, until the filter is gone.
void answer(int listener, int error, int refusals) {
  for (;;) {
    seccomp_notif call = {};
    pollfd waiting = {listener, POLLIN, 0};
    if (poll(&waiting, 1, 10'000) != 1 || (waiting.revents & POLLIN) == 0) return;
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) return;
    seccomp_notif_resp answer = {};
    answer.id = call.id;
    if (refusals > 0) {
      refusals--;
      answer.error = -error;
    } else {
      answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
}

struct Outcome {
  bool possible = true;
  std::vector<IoResult> results;
  int stalls = 0;
};

/// Writes three blocks on a thread of its own, the first `refusals` submissions refused.
Outcome write_refused(int error, int refusals, bool cancel = false) {
  const test::Folder folder;
  const Fd file(open(folder.file("file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  Outcome outcome;
  std::atomic<int> listener = -2;
  std::thread submitter([&] {
    const EventFd wake;
    const auto queue = make_uring_queue(file.get(), wake);
    listener = queue == nullptr ? -1 : listen_to_submissions();
    if (listener < 0) {
      outcome.possible = false;
      return;
    }
    std::array<uint8_t, 512> bytes{};
    std::vector<IoRequest> requests;
    for (uint32_t tag = 0; tag < 3; tag++)
      requests.push_back({Kind::write, tag, bytes.data(), 512, uint64_t{tag} * 512});
    queue->submit(requests);
    if (cancel) queue->cancel_stalled();
    const auto give_up = std::chrono::steady_clock::now() + 10s;
    while (outcome.results.size() < requests.size() && std::chrono::steady_clock::now() < give_up) {
      std::array<IoResult, 8> some;
      const size_t count = queue->reap(some);
      outcome.results.insert(outcome.results.end(), some.begin(),
                             some.begin() + static_cast<ptrdiff_t>(count));
      if (queue->stalled()) outcome.stalls++;
      if (count == 0) std::this_thread::sleep_for(1ms);
    }
  });
  while (listener == -2) std::this_thread::yield();
  const Fd calls(listener);
  if (listener >= 0) answer(listener, error, refusals);
  submitter.join();
  return outcome;
}

}  // namespace

TEST_CASE("io queue: submissions that are refused for a while are offered again") {
  for (const int error : {EAGAIN, EBUSY, ENOMEM, EINTR}) {
    const Outcome outcome = write_refused(error, 5);
    if (!outcome.possible) {
      MESSAGE("skipped: no io_uring, or seccomp does not hand over system calls here");
      return;
    }
    CHECK(outcome.stalls >= 3);
    REQUIRE(outcome.results.size() == 3);
    for (const IoResult& result : outcome.results) CHECK(result.result == 512);
  }
}

TEST_CASE("io queue: submissions that are refused for long, or for good, end with the errno") {
  for (const int error : {ENOMEM, EPERM}) {
    const Outcome outcome = write_refused(error, 1'000'000);
    if (!outcome.possible) return;
    CHECK((outcome.stalls == 0) == (error == EPERM));
    REQUIRE(outcome.results.size() == 3);
    for (const IoResult& result : outcome.results) CHECK(result.result == -error);
  }
}

TEST_CASE("io queue: submissions that wait can be cancelled") {
  const Outcome outcome = write_refused(ENOMEM, 1, true);
  if (!outcome.possible) return;
  REQUIRE(outcome.results.size() == 3);
  for (const IoResult& result : outcome.results) CHECK(result.result == -ECANCELED);
}

TEST_CASE("io queue: where io_uring is forbidden there is none, and a thread does the work") {
  const test::Folder folder;
  const Fd file(open(folder.file("file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  bool possible = true;
  std::thread refused([&] {
    possible = forbid_uring();
    if (!possible) return;
    const EventFd wake;
    CHECK_FALSE(uring_available());
    CHECK(make_uring_queue(file.get(), wake) == nullptr);
    // Its thread inherits the filter.
    const auto queue = make_thread_queue(file.get(), wake);
    REQUIRE(queue != nullptr);
    std::array<uint8_t, 512> bytes{};
    const IoRequest request{Kind::write_durable, 7, bytes.data(), 512, 0};
    queue->submit({&request, 1});
    REQUIRE(test::wait_readable(wake.get()));
    std::array<IoResult, 1> result;
    REQUIRE(queue->reap(result) == 1);
    CHECK(result[0].tag == 7);
    CHECK(result[0].result == 512);
  });
  refused.join();
  if (!possible) MESSAGE("skipped: seccomp is not to be had here");
}
