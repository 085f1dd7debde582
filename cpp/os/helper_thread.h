// One thread for calls that may block for ever: opening a device whose path is dead, device-mapper ioctls.
// Tasks run one after the other in call order; how many wait, and since when one runs, can be asked.
//
// A task that never returns must not keep the process from ending, so the thread is left behind when it does
// not end within a limit. Tasks therefore own, or share, all that they use.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace lockstep {

class HelperThread {
 public:
  /// Tasks that may wait; one more is refused. A daemon that starts again opens the devices of all its logs
  /// at once, and a device that is not opened fails its log.
  static constexpr size_t tasks_max = 8192;

  HelperThread();
  HelperThread(const HelperThread&) = delete;
  HelperThread& operator=(const HelperThread&) = delete;
  /// Throws waiting tasks away and waits a second at most for the one that runs.
  ~HelperThread();

  /// False when too many wait, or the system has no thread left.
  [[nodiscard]] bool post(std::function<void()> task);
  size_t waiting() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lockstep
