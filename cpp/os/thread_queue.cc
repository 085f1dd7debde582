// The writer thread of R8: synchronous calls, one after the other, so that when the process is gone its IO is
// too. Also the plain way where there is no io_uring.
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/assert.h"
#include "os/event_fd.h"
#include "os/io_queue.h"

namespace lockstep {
namespace {

int32_t perform(int fd, const IoRequest& request) {
  const iovec part = {request.data, request.bytes};
  const auto offset = static_cast<off_t>(request.offset);
  ssize_t result = 0;
  do {
    switch (request.kind) {
      case IoRequest::Kind::read:
        result = preadv2(fd, &part, 1, offset, 0);
        break;
      case IoRequest::Kind::write:
        result = pwritev2(fd, &part, 1, offset, 0);
        break;
      case IoRequest::Kind::write_durable:
        result = pwritev2(fd, &part, 1, offset, RWF_DSYNC);
        break;
      case IoRequest::Kind::barrier:
        result = fdatasync(fd);
        break;
    }
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : static_cast<int32_t>(result);
}

class ThreadQueue final : public IoQueue {
 public:
  ThreadQueue(int fd, const EventFd& wake) : fd_(fd), wake_(wake) {
    // Signals are for Node's threads; the new thread inherits this mask.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~ThreadQueue() override {
    LOCKSTEP_ASSERT(in_flight_ == 0);
    {
      const std::lock_guard guard(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void submit(std::span<const IoRequest> requests) override {
    LOCKSTEP_ASSERT(in_flight_ + requests.size() <= in_flight_max);
    in_flight_ += requests.size();
    {
      const std::lock_guard guard(mutex_);
      requests_.insert(requests_.end(), requests.begin(), requests.end());
    }
    changed_.notify_one();
  }

  size_t reap(std::span<IoResult> results) override {
    const std::lock_guard guard(mutex_);
    const size_t count = std::min(results.size(), results_.size());
    std::copy_n(results_.begin(), count, results.begin());
    results_.erase(results_.begin(), results_.begin() + static_cast<ptrdiff_t>(count));
    in_flight_ -= count;
    return count;
  }

  bool is_thread() const noexcept override { return true; }

 private:
  void run() {
    std::unique_lock guard(mutex_);
    for (;;) {
      changed_.wait(guard, [this] { return stopping_ || !requests_.empty(); });
      if (requests_.empty()) return;
      const IoRequest request = requests_.front();
      requests_.pop_front();
      guard.unlock();
      const IoResult result{request.tag, perform(fd_, request)};
      guard.lock();
      results_.push_back(result);
      // One wake a batch; a lone request is a batch.
      if (requests_.empty()) wake_.raise();
    }
  }

  int fd_;
  const EventFd& wake_;
  /// Counted by the submitting thread alone.
  size_t in_flight_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<IoRequest> requests_;
  std::vector<IoResult> results_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<IoQueue> make_thread_queue(int fd, const EventFd& wake) {
  try {
    return std::make_unique<ThreadQueue>(fd, wake);
  } catch (const std::system_error&) {
    return nullptr;
  }
}

}  // namespace lockstep
