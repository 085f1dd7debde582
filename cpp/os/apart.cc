#include "os/apart.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

namespace lockstep {
namespace {

constexpr size_t stack_bytes = size_t{256} * 1024;
constexpr size_t guard_bytes = 4096;

/// A stack whose lowest page may not be touched.
class Stack {
 public:
  Stack()
      : base_(::mmap(nullptr, stack_bytes + guard_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {
    if (base_ != MAP_FAILED) ::mprotect(base_, guard_bytes, PROT_NONE);
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() {
    if (base_ != MAP_FAILED) ::munmap(base_, stack_bytes + guard_bytes);
  }

  /// Null when there was no room.
  void* top() const {
    return base_ == MAP_FAILED ? nullptr : static_cast<std::byte*>(base_) + guard_bytes + stack_bytes;
  }

 private:
  void* base_;
};

/// The calling thread stands still meanwhile, so its thread-local storage serves here.
int apart(void* argument) {
  // A terminal's signals and a unit's are for the daemon.
  ::setsid();
  ::prctl(PR_SET_NAME, "lockstep-apart");
  ::close_range(0, ~0U, 0);
  (*static_cast<const std::function<void()>*>(argument))();
  return 0;
}

}  // namespace

int run_apart(const std::function<void()>& work) {
  const Stack stack;
  if (stack.top() == nullptr) return ENOMEM;
  // A handler of this process must not run there.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  auto* argument = const_cast<std::function<void()>*>(&work);
  const pid_t child = ::clone(apart, stack.top(), CLONE_VM | CLONE_VFORK, argument);
  const int error = child < 0 ? errno : 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return error;
  int status = 0;
  while (::waitpid(child, &status, __WCLONE) < 0) {
    if (errno != EINTR) return errno;
  }
  return WIFEXITED(status) ? 0 : EINTR;
}

}  // namespace lockstep
