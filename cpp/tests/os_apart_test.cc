// A function in a process of its own: what it shares, what it does not, and what outlives a kill.
#include "os/apart.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <new>
#include <thread>

using namespace lockstep;

namespace {

struct Shared {
  std::atomic<bool> begun{false};
  std::atomic<bool> may_end{false};
  std::atomic<bool> ended{false};
};

/// Waits, with a hang limit.
bool comes_true(const std::atomic<bool>& flag) {
  for (int i = 0; i < 30'000 && !flag; i++) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return flag;
}

}  // namespace

TEST_CASE("apart: another process with the same memory and without the descriptors") {
  const int descriptor = ::fcntl(1, F_DUPFD_CLOEXEC, 100);
  REQUIRE(descriptor >= 100);
  pid_t process = 0;
  int flags = 0;
  int reason = 0;
  CHECK(run_apart([&] {
          process = ::getpid();
          flags = ::fcntl(descriptor, F_GETFD);
          reason = errno;
        }) == 0);
  CHECK(process != 0);
  CHECK(process != ::getpid());
  CHECK(flags == -1);
  CHECK(reason == EBADF);
  CHECK(::fcntl(descriptor, F_GETFD) != -1);
  ::close(descriptor);
}

TEST_CASE("apart: who is killed there is told from who has ended") {
  CHECK(run_apart([] { ::kill(::getpid(), SIGKILL); }) == EINTR);
}

TEST_CASE("apart: a kill of this process ends it at once, and the function goes on to its end") {
  void* room = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(room != MAP_FAILED);
  auto* shared = new (room) Shared;
  const pid_t victim = ::fork();
  REQUIRE(victim >= 0);
  if (victim == 0) {
    const int error = run_apart([&] {
      shared->begun = true;
      if (comes_true(shared->may_end)) shared->ended = true;
    });
    ::_exit(error);
  }
  CHECK(comes_true(shared->begun));
  CHECK(::kill(victim, SIGKILL) == 0);
  int status = 0;
  CHECK(::waitpid(victim, &status, 0) == victim);
  CHECK(WIFSIGNALED(status));
  CHECK_FALSE(shared->ended);
  shared->may_end = true;
  CHECK(comes_true(shared->ended));
  ::munmap(room, sizeof(Shared));
}
