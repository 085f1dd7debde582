#include "binding/device_session.h"

#include <cerrno>
#include <mutex>

namespace lockstep::binding {

/// What the helper thread fills in. It shares nothing else with the session but the wake.
struct DeviceSession::Opening {
  std::mutex mutex;
  bool done = false;
  int error = 0;
  BlockFile file;

  void end(int result, BlockFile opened, const EventFd& wake) {
    {
      const std::lock_guard guard(mutex);
      error = result;
      file = std::move(opened);
      done = true;
    }
    wake.raise();
  }
};

std::shared_ptr<DeviceSession> DeviceSession::make(Napi::Env env, Listener* listener, bool prefer_uring,
                                                   std::shared_ptr<LogIoCounters> counters) {
  std::shared_ptr<DeviceSession> session(new DeviceSession(env, listener, prefer_uring, std::move(counters)));
  session->wake_ = std::make_shared<EventFd>();
  if (!session->wake_->valid()) return nullptr;
  session->poll_ = LoopPoll::start(
      env, session->wake_->get(), [session](LoopPoll::Events /*events*/) { session->on_wake(); },
      [session] { session->abandon(); });
  if (session->poll_ == nullptr) return nullptr;
  session->poll_->keep_alive(false);
  return session;
}

void DeviceSession::open(HelperThread& helper, const std::string& name) {
  opening_ = std::make_shared<Opening>();
  const bool posted = helper.post([opening = opening_, wake = wake_, name] {
    BlockFile file;
    const int error = open_block_file(name, file);
    opening->end(error, std::move(file), *wake);
  });
  if (!posted) opening_->end(EAGAIN, BlockFile{}, *wake_);
  tell_busy();
}

void DeviceSession::read(uint64_t offset, uint32_t length) {
  if (io_ == nullptr) {
    fail_later(true, offset, EBADF);
  } else if (!io_->read(offset, length)) {
    fail_later(true, offset, EAGAIN);
  }
  tell_busy();
}

void DeviceSession::write(std::vector<LogImage::Run> runs, std::shared_ptr<const LogSource> source,
                          bool durable) {
  if (io_ == nullptr) {
    fail_later(false, 0, EBADF);
  } else if (!io_->write(std::move(runs), std::move(source), durable)) {
    fail_later(false, 0, EAGAIN);
  }
  tell_busy();
}

void DeviceSession::abandon() {
  if (listener_ == nullptr) return;
  if (is_busy_) listener_->busy(false);
  listener_ = nullptr;
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
    listener_->opened(opening->error, nullptr);
    return;
  }
  const int fd = opening->file.fd.get();
  std::unique_ptr<IoQueue> queue = prefer_uring_ ? make_uring_queue(fd, *wake_) : nullptr;
  if (queue == nullptr) queue = make_thread_queue(fd, *wake_);
  if (queue == nullptr) {
    listener_->opened(EAGAIN, nullptr);
    return;
  }
  io_ = std::make_unique<LogIo>(std::move(opening->file), std::move(queue), *wake_, counters_);
  listener_->opened(0, &io_->file());
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

void DeviceSession::end_if_quiet() {
  if (listener_ != nullptr || in_wake_ || poll_ == nullptr) return;
  if (io_ != nullptr && !io_->quiet()) return;
  // The queue first, which raises the wake; then the watcher; the wake itself goes with its last holder.
  io_.reset();
  std::exchange(poll_, nullptr)->close();
}

}  // namespace lockstep::binding
