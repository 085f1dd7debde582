#include "os/helper_threads.h"

#include <condition_variable>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds end_wait_max{1000};

}  // namespace

struct HelperThreads::State : std::enable_shared_from_this<State> {
  struct Lane {
    std::deque<Task> tasks;
    /// Its front runs, or it stands in `ready`.
    bool taken = false;
  };
  struct Later {
    std::string lane;
    Task task;
  };

  mutable std::mutex mutex;
  std::condition_variable changed;
  /// Lanes with tasks. An entry stays while one of its tasks runs.
  std::map<std::string, Lane> lanes;
  /// Lanes whose front may run, in order.
  std::deque<std::string> ready;
  std::multimap<Clock::time_point, Later> later;
  size_t waiting = 0;
  size_t threads = 0;
  size_t idle = 0;
  bool stopping = false;

  void enqueue(const std::string& name, Task task) {
    Lane& lane = lanes[name];
    lane.tasks.push_back(std::move(task));
    if (lane.taken) return;
    lane.taken = true;
    ready.push_back(name);
  }

  void take_due() {
    const Clock::time_point now = Clock::now();
    while (!later.empty() && later.begin()->first <= now) {
      auto due = later.extract(later.begin());
      enqueue(due.mapped().lane, std::move(due.mapped().task));
    }
  }

  /// One more thread when nobody is free for what waits. False when there is none at all.
  bool staff() {
    if (idle > 0 || threads >= threads_max) return true;
    threads++;
    // Signals are for Node's threads; the new thread inherits this mask.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread([state = shared_from_this()] { state->run(); }).detach();
    } catch (const std::system_error&) {
      // Those that there are go on; the next task tries again.
      threads--;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return threads > 0;
  }

  void run() {
    std::unique_lock guard(mutex);
    while (!stopping) {
      take_due();
      if (ready.empty()) {
        idle++;
        if (later.empty()) {
          changed.wait(guard);
        } else {
          // A copy: the wait reads its argument again at its end, when another thread may have taken the
          // entry.
          const Clock::time_point next = later.begin()->first;
          changed.wait_until(guard, next);
        }
        idle--;
        continue;
      }
      run_front(guard);
    }
    threads--;
    changed.notify_all();
  }

  void run_front(std::unique_lock<std::mutex>& guard) {
    const std::string name = std::move(ready.front());
    ready.pop_front();
    Task task = std::move(lanes[name].tasks.front());
    lanes[name].tasks.pop_front();
    waiting--;
    // This thread may never come back: somebody else must be there for the rest.
    if (!ready.empty() || !later.empty()) static_cast<void>(staff());
    guard.unlock();
    const Again again = task();
    if (!again) task = nullptr;
    guard.lock();
    if (stopping) return;
    if (again) {
      later.emplace(Clock::now() + *again, Later{name, std::move(task)});
      waiting++;
    }
    const auto lane = lanes.find(name);
    if (lane->second.tasks.empty()) {
      lanes.erase(lane);
    } else {
      ready.push_back(name);
    }
  }
};

HelperThreads::HelperThreads() : state_(std::make_shared<State>()) {}

HelperThreads::~HelperThreads() {
  std::unique_lock guard(state_->mutex);
  state_->stopping = true;
  state_->ready.clear();
  state_->lanes.clear();
  state_->later.clear();
  state_->changed.notify_all();
  state_->changed.wait_for(guard, end_wait_max, [this] { return state_->threads == 0; });
}

bool HelperThreads::post(const std::string& lane, Task task) {
  const std::lock_guard guard(state_->mutex);
  if (state_->waiting >= tasks_max || !state_->staff()) return false;
  state_->enqueue(lane, std::move(task));
  state_->waiting++;
  state_->changed.notify_one();
  return true;
}

bool HelperThreads::post_later(const std::string& lane, std::chrono::milliseconds delay, Task task) {
  const std::lock_guard guard(state_->mutex);
  if (state_->waiting >= tasks_max || !state_->staff()) return false;
  state_->later.emplace(Clock::now() + delay, State::Later{lane, std::move(task)});
  state_->waiting++;
  state_->changed.notify_one();
  return true;
}

size_t HelperThreads::waiting() const {
  const std::lock_guard guard(state_->mutex);
  return state_->waiting;
}

}  // namespace lockstep
