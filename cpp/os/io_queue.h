// Reads, writes and barriers of one open device, begun by one thread and ended later: the seam between the
// log writer (cpp/data) and how the IO is done. Every request ends by exactly one result.
//
// | queue  | how                                             | for                              |
// | ------ | ----------------------------------------------- | -------------------------------- |
// | uring  | io_uring, submitted by the calling thread       | devices of this host             |
// | thread | synchronous pwritev2 on a native thread         | shared devices (R8), no io_uring |
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace lockstep {

class EventFd;

struct IoRequest {
  enum class Kind : uint8_t {
    read,
    write,
    /// A write that is durable when it ends (RWF_DSYNC).
    write_durable,
    /// Makes durable what has ended before it begins (fdatasync).
    barrier,
  };
  Kind kind = Kind::barrier;
  uint32_t tag = 0;
  uint8_t* data = nullptr;
  uint32_t bytes = 0;
  uint64_t offset = 0;
};

/// `result` is the number of bytes moved, or a negative errno.
struct IoResult {
  uint32_t tag = 0;
  int32_t result = 0;
};

class IoQueue {
 public:
  static constexpr size_t in_flight_max = 16;

  IoQueue() = default;
  IoQueue(const IoQueue&) = delete;
  IoQueue& operator=(const IoQueue&) = delete;
  /// Nothing may be in flight: the kernel or the thread may still use the requests' memory.
  virtual ~IoQueue() = default;

  /// Begins the requests; the memory they name stays as it is until their results have been reaped. What
  /// cannot be begun ends with an errno. At most `in_flight_max` at a time. Raises the event some time after
  /// results.
  virtual void submit(std::span<const IoRequest> requests) = 0;
  /// Takes results that are ready; returns how many. Never blocks. Offers the kernel again what it had no
  /// room for.
  virtual size_t reap(std::span<IoResult> results) = 0;
  /// Requests wait because the kernel has no room for them just now: `reap` must be called again after a
  /// while, for no wake may come. It ends within a limit, then with an errno.
  virtual bool stalled() const noexcept { return false; }
  /// Requests that wait so end with ECANCELED, and a wake.
  virtual void cancel_stalled() {}
  /// True when it is the synchronous writer thread.
  virtual bool is_thread() const noexcept = 0;
};

/// Null when the kernel has no io_uring for us, or the addon was built without it. `fd` and `wake` outlive
/// the queue.
[[nodiscard]] std::unique_ptr<IoQueue> make_uring_queue(int fd, const EventFd& wake);
/// Null when the system has no thread left.
[[nodiscard]] std::unique_ptr<IoQueue> make_thread_queue(int fd, const EventFd& wake);
/// Asks the kernel.
[[nodiscard]] bool uring_available();

}  // namespace lockstep
