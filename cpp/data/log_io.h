// Reads and commits of one open log device, one after the other: ties the runs of a log image's plan
// (cpp/core/log_plan.h) to an IO queue, with aligned buffers and one durable barrier a commit.
//
// A commit of one run is one durable write. One of several runs is writes, at most `buffers_max` of them in
// flight, and then one barrier. A run is encoded when its write begins, from memory as it is then. The first
// error ends a commit; what is in flight is waited for, since its buffers are in use. Nothing is retried, but
// for a kernel that does not know durable writes: there it is a write and a barrier. (A submission that the
// kernel has no room for just now is the queue's business.)
//
// All calls come from one thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/log_plan.h"
#include "os/block_file.h"
#include "os/event_fd.h"
#include "os/io_queue.h"

namespace lockstep {

/// Where a commit's bytes come from. The log writer keeps it until the commit's last run is encoded.
class LogSource {
 public:
  LogSource() = default;
  LogSource(const LogSource&) = delete;
  LogSource& operator=(const LogSource&) = delete;
  virtual ~LogSource() = default;
  virtual void encode(uint64_t offset, std::span<uint8_t> into) const = 0;
};

struct LogIoCounters {
  uint64_t bytes_written = 0;
  uint64_t writes = 0;
  uint64_t barriers = 0;
};

/// The end of an operation. `error` is 0 or an errno.
struct LogIoDone {
  bool is_read = false;
  int error = 0;
  uint64_t offset = 0;
  /// What was read; valid during the call only.
  std::span<const uint8_t> bytes;
};

class LogIo {
 public:
  /// Writes in flight, each of one buffer.
  static constexpr size_t buffers_max = 8;
  /// Operations that may wait.
  static constexpr size_t operations_max = 64;
  static_assert(buffers_max <= IoQueue::in_flight_max);

  /// The queue works on the file and raises `wake`, when `progress` has something to do.
  LogIo(BlockFile file, std::unique_ptr<IoQueue> queue, const EventFd& wake,
        std::shared_ptr<LogIoCounters> counters);
  LogIo(const LogIo&) = delete;
  LogIo& operator=(const LogIo&) = delete;
  /// Only when `quiet`.
  ~LogIo();

  const BlockFile& file() const noexcept { return file_; }
  bool uses_thread() const noexcept { return queue_->is_thread(); }

  /// Offset and length are multiples of 512, length at most log_read_bytes_max. False when too many wait.
  [[nodiscard]] bool read(uint64_t offset, uint32_t length);
  [[nodiscard]] bool write(std::vector<LogImage::Run> runs, std::shared_ptr<const LogSource> source,
                           bool durable);

  /// Takes what has ended and begins what can; calls `done` for each operation that ended, in order. `done`
  /// may call anything here but the destructor.
  void progress(const std::function<void(const LogIoDone&)>& done);
  /// Forgets all operations. What is in flight still ends, in `progress`, without a call of `done`.
  void abandon();
  /// Nothing is in flight.
  bool quiet() const noexcept { return in_flight_ == 0; }
  /// `progress` must be called again after a while, for no wake may come.
  bool stalled() const noexcept { return queue_->stalled(); }
  /// Operations that have not ended.
  size_t operations() const noexcept { return operations_.size(); }

 private:
  struct Operation {
    bool is_read = false;
    bool durable = false;
    uint64_t offset = 0;
    uint32_t length = 0;
    std::vector<LogImage::Run> runs;
    std::shared_ptr<const LogSource> source;
  };
  struct Free {
    void operator()(uint8_t* memory) const noexcept;
  };
  struct Buffer {
    std::unique_ptr<uint8_t[], Free> memory;
    uint32_t room = 0;
    uint32_t wanted = 0;
    bool busy = false;
  };
  enum class Step { idle, reading, writing, barrier };

  void take_results();
  void take_result(const IoResult& result);
  void begin();
  void begin_read();
  void begin_writes();
  bool operation_ended() const noexcept;
  void finish(const std::function<void(const LogIoDone&)>& done);
  void submit_barrier();
  bool reserve(Buffer& buffer, uint64_t bytes);
  void fail(int error) noexcept;

  BlockFile file_;
  std::unique_ptr<IoQueue> queue_;
  const EventFd& wake_;
  std::shared_ptr<LogIoCounters> counters_;
  std::deque<Operation> operations_;
  std::array<Buffer, buffers_max> buffers_;
  size_t in_flight_ = 0;

  // Of the operation at the front.
  Step step_ = Step::idle;
  size_t next_run_ = 0;
  int error_ = 0;
  /// The only run went out as a plain write, because durable ones are not to be had.
  bool needs_barrier_ = false;
  bool durable_writes_ = true;
};

}  // namespace lockstep
