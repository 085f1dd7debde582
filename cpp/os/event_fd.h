// A counter that another thread (or io_uring) raises and that an event loop waits for. One wake may stand for
// any number of events, and a wake may come without any (io_uring does that): whoever wakes looks for
// himself.
#pragma once

#include <sys/eventfd.h>

#include <cstdint>

#include "core/assert.h"
#include "os/fd.h"

namespace lockstep {

class EventFd {
 public:
  EventFd() noexcept : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  /// False when the process has no descriptor left.
  bool valid() const noexcept { return fd_.valid(); }
  int get() const noexcept { return fd_.get(); }
  void raise() const noexcept {
    const uint64_t one = 1;
    // Full only after 2^64 - 2 raises that nobody took.
    const ssize_t written = write(fd_.get(), &one, sizeof(one));
    LOCKSTEP_ASSERT(written == sizeof(one));
  }
  void take() const noexcept {
    uint64_t count;
    // EAGAIN is a wake that somebody took before.
    [[maybe_unused]] const ssize_t taken = read(fd_.get(), &count, sizeof(count));
  }

 private:
  Fd fd_;
};

}  // namespace lockstep
