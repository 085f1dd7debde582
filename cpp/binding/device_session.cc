#include "binding/device_session.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>

namespace lockstep::binding {

namespace {

using Clock = std::chrono::steady_clock;

/// How often a claim is tried again.
constexpr std::chrono::milliseconds claim_retry_min{1};
constexpr std::chrono::milliseconds claim_retry_max{50};
/// When a submission that the kernel had no room for is offered again.
constexpr std::chrono::milliseconds stall_retry{2};
constexpr const char* claim_taken =
    "is in use: locked by another mirror's log, another process or writes in flight of a killed daemon";

}  // namespace

/// What the helper threads do and fill in. It shares nothing else with the session but the wake.
struct DeviceSession::Opening {
  Opening(std::string device_name, std::optional<std::chrono::milliseconds> wait_max,
          std::shared_ptr<EventFd> session_wake)
      : name(std::move(device_name)), claim_wait_max(wait_max), wake(std::move(session_wake)) {}

  const std::string name;
  const std::optional<std::chrono::milliseconds> claim_wait_max;
  const std::shared_ptr<EventFd> wake;
  /// Nobody waits for it any more.
  std::atomic<bool> given_up = false;

  std::mutex mutex;
  bool done = false;
  int error = 0;
  std::string reason;
  BlockFile file;

  /// Opens, then claims; called again while somebody else has the claim.
  HelperThreads::Again step() {
    if (given_up) return end(ECANCELED, BlockFile{});
    if (!pending_.fd.valid()) {
      const int result = open_block_file(name, pending_);
      if (result != 0 || !claim_wait_max) return end(result, std::move(pending_));
      give_up_at_ = Clock::now() + *claim_wait_max;
    }
    const int result = claim_block_file(pending_);
    if (result != EAGAIN) return end(result, std::move(pending_));
    if (Clock::now() >= give_up_at_) return end(EBUSY, BlockFile{}, claim_taken);
    retry_ = std::min(retry_ * 2, claim_retry_max);
    return retry_;
  }

  std::nullopt_t end(int result, BlockFile opened, const char* why = "") {
    {
      const std::lock_guard guard(mutex);
      error = result;
      reason = why;
      if (result == 0) file = std::move(opened);
      done = true;
    }
    pending_ = BlockFile{};
    wake->raise();
    return std::nullopt;
  }

 private:
  BlockFile pending_;
  Clock::time_point give_up_at_;
  std::chrono::milliseconds retry_ = claim_retry_min;
};

std::shared_ptr<DeviceSession> DeviceSession::make(Napi::Env env, Listener* listener, LogWriter writer,
                                                   std::shared_ptr<LogIoCounters> counters) {
  std::shared_ptr<DeviceSession> session(new DeviceSession(env, listener, writer, std::move(counters)));
  session->wake_ = std::make_shared<EventFd>();
  if (!session->wake_->valid()) return nullptr;
  session->poll_ = LoopPoll::start(
      env, session->wake_->get(), [session](LoopPoll::Events /*events*/) { session->on_wake(); },
      [session] { session->abandon(); });
  if (session->poll_ == nullptr) return nullptr;
  session->poll_->keep_alive(false);
  return session;
}

void DeviceSession::open(HelperThreads& helpers, const std::string& name,
                         std::optional<std::chrono::milliseconds> claim_wait_max) {
  helpers_ = &helpers;
  opening_ = std::make_shared<Opening>(name, claim_wait_max, wake_);
  const bool posted = helpers.post(name, [opening = opening_] { return opening->step(); });
  if (!posted) opening_->end(EAGAIN, BlockFile{});
  tell_busy();
}

void DeviceSession::read(uint64_t offset, uint32_t length) {
  if (io_ == nullptr) {
    fail_later(true, offset, EBADF);
  } else if (!io_->read(offset, length)) {
    fail_later(true, offset, EAGAIN);
  }
  watch_stall();
  tell_busy();
}

void DeviceSession::write(std::vector<LogImage::Run> runs, std::shared_ptr<const LogSource> source,
                          bool durable) {
  if (io_ == nullptr) {
    fail_later(false, 0, EBADF);
  } else if (!io_->write(std::move(runs), std::move(source), durable)) {
    fail_later(false, 0, EAGAIN);
  }
  watch_stall();
  tell_busy();
}

void DeviceSession::abandon() {
  if (listener_ == nullptr) return;
  if (is_busy_) listener_->busy(false);
  listener_ = nullptr;
  if (opening_ != nullptr) opening_->given_up = true;
  opening_.reset();
  failures_.clear();
  if (io_ != nullptr) io_->abandon();
  // The environment must not end before the IO has.
  poll_->keep_alive(true);
  end_if_quiet();
}

void DeviceSession::on_wake() {
  const auto self = shared_from_this();
  in_wake_ = true;
  stall_watched_ = false;
  wake_->take();
  if (listener_ != nullptr) {
    const Napi::HandleScope scope(env_);
    on_opened();
    tell_failures();
    if (io_ != nullptr) {
      io_->progress([this](const LogIoDone& done) {
        if (listener_ != nullptr) listener_->ended(done);
      });
    }
    watch_stall();
    if (listener_ != nullptr) tell_busy();
  } else if (io_ != nullptr) {
    io_->progress([](const LogIoDone& /*done*/) {});
  }
  in_wake_ = false;
  end_if_quiet();
}

void DeviceSession::on_opened() {
  if (opening_ == nullptr) return;
  const std::shared_ptr<Opening> opening = opening_;
  {
    const std::lock_guard guard(opening->mutex);
    if (!opening->done) return;
  }
  opening_.reset();
  if (opening->error != 0) {
    listener_->opened(opening->error, nullptr, opening->reason);
    return;
  }
  const int fd = opening->file.fd.get();
  const bool uring =
      writer_ == LogWriter::automatic ? opening->file.is_block_device : writer_ == LogWriter::uring;
  std::unique_ptr<IoQueue> queue = uring ? make_uring_queue(fd, *wake_) : nullptr;
  if (queue == nullptr) queue = make_thread_queue(fd, *wake_);
  if (queue == nullptr) {
    listener_->opened(EAGAIN, nullptr, "");
    return;
  }
  io_ = std::make_unique<LogIo>(std::move(opening->file), std::move(queue), *wake_, counters_);
  listener_->opened(0, &io_->file(), "");
}

void DeviceSession::fail_later(bool is_read, uint64_t offset, int error) {
  failures_.push_back({is_read, error, offset, {}});
  wake_->raise();
}

void DeviceSession::tell_failures() {
  // Those that come while these are told belong to the next turn.
  for (size_t left = failures_.size(); left > 0 && listener_ != nullptr && !failures_.empty(); left--) {
    const LogIoDone done = failures_.front();
    failures_.pop_front();
    listener_->ended(done);
  }
}

void DeviceSession::tell_busy() {
  const bool busy_now =
      opening_ != nullptr || !failures_.empty() || (io_ != nullptr && io_->operations() > 0);
  if (busy_now == is_busy_) return;
  is_busy_ = busy_now;
  poll_->keep_alive(busy_now);
  listener_->busy(busy_now);
}

void DeviceSession::watch_stall() {
  if (listener_ == nullptr || io_ == nullptr || !io_->stalled() || stall_watched_) return;
  stall_watched_ = helpers_->post_later("stalled submissions", stall_retry, [wake = wake_] {
    wake->raise();
    return HelperThreads::Again();
  });
  // Without a thread for it the next turn of the loop must do.
  if (!stall_watched_) wake_->raise();
}

void DeviceSession::end_if_quiet() {
  if (listener_ != nullptr || in_wake_ || poll_ == nullptr) return;
  if (io_ != nullptr && !io_->quiet()) return;
  // The queue first, which raises the wake; then the watcher; the wake itself goes with its last holder.
  io_.reset();
  std::exchange(poll_, nullptr)->close();
}

}  // namespace lockstep::binding
