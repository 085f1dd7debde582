// One opening of a log device: from the call of `open` (or the first operation on a device that is not open)
// to the end of its last IO. A device that is opened again or closed abandons its session, which then says
// nothing more but stays until what is in flight has ended, because the kernel still uses its buffers.
//
// Everything happens on the loop's thread, except for the opening itself, which a helper thread does. A
// session that is to write, or whose reads count, claims the device: its opening ends when nobody else has a
// claim any more, which includes sessions with IO in flight, of this daemon or of one that was killed.
#pragma once

#include <napi.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "binding/loop_poll.h"
#include "data/log_io.h"
#include "os/event_fd.h"
#include "os/helper_threads.h"

namespace lockstep::binding {

/// How a session writes. `automatic`: io_uring for a block device, a thread for a file. A durable write to a
/// file ends in a queue of the file system's where the disk has a volatile cache; a thread that waits for it
/// is faster (docs/DESIGN.md), and leaves nothing to whoever runs that queue.
enum class LogWriter : uint8_t { automatic, uring, thread };

class DeviceSession : public std::enable_shared_from_this<DeviceSession> {
 public:
  /// Who is told. Calls come with a handle scope open, and never inside a call of the session.
  struct Listener {
    Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    virtual ~Listener() = default;
    /// `reason` says more about an error, or is empty.
    virtual void opened(int error, const BlockFile* file, const std::string& reason) = 0;
    virtual void ended(const LogIoDone& done) = 0;
    /// Whether operations are under way, which keeps the listener and the loop alive.
    virtual void busy(bool is_busy) = 0;
  };

  /// Null when the process has no descriptor left or the loop refuses.
  static std::shared_ptr<DeviceSession> make(Napi::Env env, Listener* listener, LogWriter writer,
                                             std::shared_ptr<LogIoCounters> counters);

  /// Claims the device when there is a limit for that, and fails with EBUSY when it is over.
  void open(HelperThreads& helpers, const std::string& name,
            std::optional<std::chrono::milliseconds> claim_wait_max);
  void read(uint64_t offset, uint32_t length);
  void write(std::vector<LogImage::Run> runs, std::shared_ptr<const LogSource> source, bool durable);
  void abandon();
  bool is_open() const { return io_ != nullptr; }
  bool uses_thread() const { return io_ != nullptr && io_->uses_thread(); }

 private:
  struct Opening;
  DeviceSession(Napi::Env env, Listener* listener, LogWriter writer, std::shared_ptr<LogIoCounters> counters)
      : env_(env), listener_(listener), writer_(writer), counters_(std::move(counters)) {}

  void on_wake();
  void on_opened();
  void fail_later(bool is_read, uint64_t offset, int error);
  void tell_failures();
  void tell_busy();
  void watch_stall();
  void end_if_quiet();

  Napi::Env env_;
  Listener* listener_;
  LogWriter writer_;
  std::shared_ptr<LogIoCounters> counters_;
  std::shared_ptr<EventFd> wake_;
  LoopPoll* poll_ = nullptr;
  std::shared_ptr<Opening> opening_;
  std::unique_ptr<LogIo> io_;
  /// Of the environment; not used any more once the session is abandoned.
  HelperThreads* helpers_ = nullptr;
  /// A wake comes because the kernel had no room for a submission.
  bool stall_watched_ = false;
  /// Operations that could not begin; they end in the next turn of the loop.
  std::deque<LogIoDone> failures_;
  bool is_busy_ = false;
  /// A wake is being dealt with; what would destroy parts of the session waits for its end.
  bool in_wake_ = false;
};

}  // namespace lockstep::binding
