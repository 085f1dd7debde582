// The io_uring queue. The ring wakes the event loop by an eventfd; such a wake may come without a completion,
// so results are always taken from the ring, never inferred from the wake.
#include "os/io_queue.h"

#if LOCKSTEP_HAVE_URING

#include <liburing.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <vector>

#include "core/assert.h"
#include "os/event_fd.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned ring_entries = IoQueue::in_flight_max;
/// How long the kernel may refuse a submission for want of memory or of room before the requests fail.
constexpr std::chrono::milliseconds stall_max{1000};

bool passes(int error) { return error == -EAGAIN || error == -EBUSY || error == -ENOMEM || error == -EINTR; }

class UringQueue final : public IoQueue {
 public:
  UringQueue(int fd, const EventFd& wake) : fd_(fd), wake_(wake) { failed_.reserve(in_flight_max); }
  ~UringQueue() override {
    LOCKSTEP_ASSERT(in_flight_ == 0);
    if (ready_) io_uring_queue_exit(&ring_);
  }

  bool open() {
    if (io_uring_queue_init(ring_entries, &ring_, 0) != 0) return false;
    ready_ = true;
    return io_uring_register_eventfd(&ring_, wake_.get()) == 0;
  }

  void submit(std::span<const IoRequest> requests) override {
    LOCKSTEP_ASSERT(in_flight_ + requests.size() <= in_flight_max);
    for (const IoRequest& request : requests) prepare(request);
    in_flight_ += requests.size();
    submit_prepared();
  }

  size_t reap(std::span<IoResult> results) override {
    if (stalled_) submit_prepared();
    size_t count = 0;
    while (count < results.size() && !failed_.empty()) {
      results[count++] = failed_.back();
      failed_.pop_back();
    }
    io_uring_cqe* entry = nullptr;
    while (count < results.size() && io_uring_peek_cqe(&ring_, &entry) == 0) {
      results[count++] = {static_cast<uint32_t>(io_uring_cqe_get_data64(entry)), entry->res};
      io_uring_cqe_seen(&ring_, entry);
    }
    in_flight_ -= count;
    return count;
  }

  bool stalled() const noexcept override { return stalled_; }
  void cancel_stalled() override {
    if (stalled_) cancel_prepared(-ECANCELED);
  }
  bool is_thread() const noexcept override { return false; }

 private:
  void prepare(const IoRequest& request) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    // The ring has room for all that may be in flight, and nothing prepared stays unsubmitted.
    LOCKSTEP_ASSERT(entry != nullptr);
    switch (request.kind) {
      case IoRequest::Kind::read:
        io_uring_prep_read(entry, fd_, request.data, request.bytes, request.offset);
        break;
      case IoRequest::Kind::write:
      case IoRequest::Kind::write_durable:
        io_uring_prep_write(entry, fd_, request.data, request.bytes, request.offset);
        if (request.kind == IoRequest::Kind::write_durable) entry->rw_flags = RWF_DSYNC;
        break;
      case IoRequest::Kind::barrier:
        io_uring_prep_fsync(entry, fd_, IORING_FSYNC_DATASYNC);
        break;
    }
    io_uring_sqe_set_data64(entry, request.tag);
    prepared_[prepared_count_++] = request.tag;
  }

  /// Hands all prepared requests to the kernel. What it will not take for now stays prepared, up to a limit;
  /// what it will not take at all ends with its errno.
  void submit_prepared() {
    while (prepared_count_ > 0) {
      const int taken = io_uring_submit(&ring_);
      if (taken > 0) {
        const auto first_left = prepared_.begin() + taken;
        std::copy(first_left, prepared_.begin() + static_cast<ptrdiff_t>(prepared_count_), prepared_.begin());
        prepared_count_ -= static_cast<size_t>(taken);
        stalled_ = false;
      } else if (passes(taken) && may_stall()) {
        return;
      } else {
        cancel_prepared(taken == 0 ? -EIO : taken);
      }
    }
    stalled_ = false;
  }

  bool may_stall() {
    const Clock::time_point now = Clock::now();
    if (!stalled_) stalled_since_ = now;
    stalled_ = true;
    return now - stalled_since_ < stall_max;
  }

  /// Ends what is prepared, and takes it from the ring so that a later submission does not begin it after
  /// all.
  void cancel_prepared(int error) {
    // The kernel reads the tail only inside a submission, and it took none of these: moving it back removes
    // them.
    const auto left = static_cast<unsigned>(prepared_count_);
    ring_.sq.sqe_tail -= left;
    ring_.sq.sqe_head = ring_.sq.sqe_tail;
    io_uring_smp_store_release(ring_.sq.ktail, *ring_.sq.ktail - left);
    for (size_t index = 0; index < prepared_count_; index++) failed_.push_back({prepared_[index], error});
    prepared_count_ = 0;
    stalled_ = false;
    wake_.raise();
  }

  int fd_;
  const EventFd& wake_;
  io_uring ring_{};
  bool ready_ = false;
  size_t in_flight_ = 0;
  std::array<uint32_t, in_flight_max> prepared_{};
  size_t prepared_count_ = 0;
  bool stalled_ = false;
  Clock::time_point stalled_since_;
  std::vector<IoResult> failed_;
};

}  // namespace

std::unique_ptr<IoQueue> make_uring_queue(int fd, const EventFd& wake) {
  auto queue = std::make_unique<UringQueue>(fd, wake);
  if (!queue->open()) return nullptr;
  return queue;
}

bool uring_available() {
  io_uring ring{};
  if (io_uring_queue_init(1, &ring, 0) != 0) return false;
  io_uring_queue_exit(&ring);
  return true;
}

}  // namespace lockstep

#else

namespace lockstep {

std::unique_ptr<IoQueue> make_uring_queue(int /*fd*/, const EventFd& /*wake*/) { return nullptr; }
bool uring_available() { return false; }

}  // namespace lockstep

#endif
