// Threads for calls that may block for ever: opening a device whose path is dead, say. Tasks of one lane run
// one after the other in call order; tasks of different lanes do not wait for each other while a thread is
// free. At most `threads_max` threads, made when they are needed.
//
// A task can ask to be called again after a while: it then takes its place in its lane anew, and holds
// neither the lane nor a thread meanwhile.
//
// A task that never returns must not keep the process from ending, so threads are left behind that do not end
// within a limit. Tasks therefore own, or share, all that they use.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace lockstep {

class HelperThreads {
 public:
  /// Tasks that may wait; one more is refused. A daemon that starts again opens the devices of all its logs
  /// at once, and a device that is not opened fails its log.
  static constexpr size_t tasks_max = 8192;
  static constexpr size_t threads_max = 8;

  /// Nothing when it is done, or the time after which it is to be called again.
  using Again = std::optional<std::chrono::milliseconds>;
  using Task = std::function<Again()>;

  HelperThreads();
  HelperThreads(const HelperThreads&) = delete;
  HelperThreads& operator=(const HelperThreads&) = delete;
  /// Throws waiting tasks away and waits a second at most for those that run.
  ~HelperThreads();

  /// False when too many wait, or the system has no thread left and there is none yet.
  [[nodiscard]] bool post(const std::string& lane, Task task);
  /// As `post`, and the task is called after `delay` for the first time.
  [[nodiscard]] bool post_later(const std::string& lane, std::chrono::milliseconds delay, Task task);
  /// Tasks that do not run now.
  size_t waiting() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lockstep
