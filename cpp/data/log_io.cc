#include "data/log_io.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "core/assert.h"

namespace lockstep {
namespace {

/// A buffer starts at a page, which suits every device.
constexpr size_t buffer_alignment = 4096;
/// Results taken in one round.
constexpr size_t results_max = LogIo::buffers_max;

}  // namespace

void LogIo::Free::operator()(uint8_t* memory) const noexcept { std::free(memory); }

LogIo::LogIo(BlockFile file, std::unique_ptr<IoQueue> queue, const EventFd& wake,
             std::shared_ptr<LogIoCounters> counters)
    : file_(std::move(file)), queue_(std::move(queue)), wake_(wake), counters_(std::move(counters)) {}

LogIo::~LogIo() { LOCKSTEP_ASSERT(quiet()); }

bool LogIo::read(uint64_t offset, uint32_t length) {
  LOCKSTEP_ASSERT(offset % 512 == 0 && length % 512 == 0 && length <= log_read_bytes_max);
  if (operations_.size() >= operations_max) return false;
  operations_.push_back({.is_read = true, .offset = offset, .length = length, .runs = {}, .source = nullptr});
  begin();
  return true;
}

bool LogIo::write(std::vector<LogImage::Run> runs, std::shared_ptr<const LogSource> source, bool durable) {
  if (operations_.size() >= operations_max) return false;
  operations_.push_back({.durable = durable, .runs = std::move(runs), .source = std::move(source)});
  begin();
  return true;
}

void LogIo::progress(const std::function<void(const LogIoDone&)>& done) {
  take_results();
  begin();
  while (operation_ended()) {
    finish(done);
    begin();
  }
}

void LogIo::abandon() {
  operations_.clear();
  step_ = Step::idle;
  queue_->cancel_stalled();
}

void LogIo::take_results() {
  std::array<IoResult, results_max> results;
  size_t count = 0;
  do {
    count = queue_->reap(results);
    for (size_t index = 0; index < count; index++) take_result(results[index]);
  } while (count == results.size());
}

void LogIo::take_result(const IoResult& result) {
  LOCKSTEP_ASSERT(result.tag < buffers_max && in_flight_ > 0);
  Buffer& buffer = buffers_[result.tag];
  buffer.busy = false;
  in_flight_--;
  if (step_ == Step::idle) return;
  const bool unknown_flag = result.result == -EOPNOTSUPP || result.result == -EINVAL;
  if (unknown_flag && step_ == Step::writing && durable_writes_ && operations_.front().runs.size() == 1 &&
      operations_.front().durable) {
    // Say it again as a plain write; a device that refuses that too fails for good.
    durable_writes_ = false;
    needs_barrier_ = true;
    next_run_ = 0;
  } else if (result.result < 0) {
    fail(-result.result);
  } else if (static_cast<uint32_t>(result.result) != buffer.wanted) {
    fail(EIO);
  } else if (step_ == Step::barrier) {
    needs_barrier_ = false;
  }
}

/// Begins as much of the front operation as can begin now.
void LogIo::begin() {
  if (operations_.empty()) return;
  const Operation& front = operations_.front();
  if (step_ == Step::idle) {
    // Buffers may still be in flight for operations that were abandoned.
    if (in_flight_ > 0) return;
    step_ = front.is_read ? Step::reading : Step::writing;
    next_run_ = 0;
    error_ = 0;
    needs_barrier_ = front.durable;
    if (front.is_read) {
      begin_read();
    } else if (front.runs.empty() && !front.durable) {
      // Nothing to do, and yet it must not end inside the call that started it.
      wake_.raise();
    }
  }
  if (step_ == Step::writing) begin_writes();
}

void LogIo::begin_read() {
  const Operation& front = operations_.front();
  Buffer& buffer = buffers_[0];
  if (!reserve(buffer, front.length)) {
    fail(ENOMEM);
    wake_.raise();
    return;
  }
  buffer.busy = true;
  buffer.wanted = front.length;
  in_flight_++;
  const IoRequest request{IoRequest::Kind::read, 0, buffer.memory.get(), front.length, front.offset};
  queue_->submit({&request, 1});
}

void LogIo::begin_writes() {
  const Operation& front = operations_.front();
  const bool alone = front.runs.size() == 1 && front.durable && durable_writes_;
  std::array<IoRequest, buffers_max> requests;
  size_t count = 0;
  for (uint32_t tag = 0; tag < buffers_max && next_run_ < front.runs.size() && error_ == 0; tag++) {
    Buffer& buffer = buffers_[tag];
    if (buffer.busy) continue;
    const LogImage::Run run = front.runs[next_run_];
    if (!reserve(buffer, run.bytes)) {
      fail(ENOMEM);
      wake_.raise();
      break;
    }
    front.source->encode(run.offset, {buffer.memory.get(), run.bytes});
    buffer.busy = true;
    buffer.wanted = static_cast<uint32_t>(run.bytes);
    const auto kind = alone ? IoRequest::Kind::write_durable : IoRequest::Kind::write;
    requests[count++] = {kind, tag, buffer.memory.get(), buffer.wanted, run.offset};
    counters_->bytes_written += run.bytes;
    next_run_++;
  }
  counters_->writes += count;
  if (alone && count > 0) {
    counters_->barriers++;
    needs_barrier_ = false;
  }
  in_flight_ += count;
  if (count > 0) queue_->submit({requests.data(), count});
  const bool all_written = next_run_ == front.runs.size() && in_flight_ == 0 && error_ == 0;
  if (all_written && needs_barrier_) submit_barrier();
}

void LogIo::submit_barrier() {
  step_ = Step::barrier;
  counters_->barriers++;
  buffers_[0].busy = true;
  buffers_[0].wanted = 0;
  in_flight_++;
  const IoRequest request{IoRequest::Kind::barrier, 0, nullptr, 0, 0};
  queue_->submit({&request, 1});
}

bool LogIo::operation_ended() const noexcept {
  if (step_ == Step::idle || in_flight_ > 0) return false;
  if (error_ != 0 || step_ == Step::reading || step_ == Step::barrier) return true;
  return next_run_ == operations_.front().runs.size() && !needs_barrier_;
}

void LogIo::finish(const std::function<void(const LogIoDone&)>& done) {
  Operation ended = std::move(operations_.front());
  operations_.pop_front();
  // The call may plan the same image again.
  ended.source.reset();
  step_ = Step::idle;
  LogIoDone result{ended.is_read, error_, ended.offset, {}};
  if (ended.is_read && error_ == 0) {
    // Its own until the call has returned: a new read inside the call takes another buffer.
    Buffer buffer = std::exchange(buffers_[0], Buffer{});
    result.bytes = {buffer.memory.get(), ended.length};
    done(result);
    if (buffers_[0].memory == nullptr) buffers_[0] = std::move(buffer);
    return;
  }
  done(result);
}

bool LogIo::reserve(Buffer& buffer, uint64_t bytes) {
  if (bytes <= buffer.room) return true;
  const uint64_t room = (bytes + buffer_alignment - 1) / buffer_alignment * buffer_alignment;
  buffer.memory.reset(static_cast<uint8_t*>(std::aligned_alloc(buffer_alignment, room)));
  buffer.room = buffer.memory == nullptr ? 0 : static_cast<uint32_t>(room);
  return buffer.memory != nullptr;
}

void LogIo::fail(int error) noexcept {
  if (error_ == 0) error_ = error;
}

}  // namespace lockstep
