#include "os/helper_thread.h"

#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace lockstep {
namespace {

constexpr std::chrono::milliseconds end_wait_max{1000};

}  // namespace

struct HelperThread::State {
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;
  bool stopping = false;
  bool started = false;
  bool ended = false;

  void run() {
    std::unique_lock guard(mutex);
    for (;;) {
      changed.wait(guard, [this] { return stopping || !tasks.empty(); });
      if (stopping) break;
      std::function<void()> task = std::move(tasks.front());
      tasks.pop_front();
      guard.unlock();
      task();
      task = nullptr;
      guard.lock();
    }
    ended = true;
    changed.notify_all();
  }
};

HelperThread::HelperThread() : state_(std::make_shared<State>()) {}

HelperThread::~HelperThread() {
  std::unique_lock guard(state_->mutex);
  state_->stopping = true;
  state_->tasks.clear();
  state_->changed.notify_all();
  if (state_->started) state_->changed.wait_for(guard, end_wait_max, [this] { return state_->ended; });
}

bool HelperThread::post(std::function<void()> task) {
  const std::lock_guard guard(state_->mutex);
  if (state_->tasks.size() >= tasks_max) return false;
  state_->tasks.push_back(std::move(task));
  if (!state_->started) {
    state_->started = true;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread([state = state_] { state->run(); }).detach();
    } catch (const std::system_error&) {
      // No thread left now; the next task tries again.
      state_->started = false;
      state_->tasks.pop_back();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (!state_->started) return false;
  }
  state_->changed.notify_all();
  return true;
}

size_t HelperThread::waiting() const {
  const std::lock_guard guard(state_->mutex);
  return state_->tasks.size();
}

}  // namespace lockstep
