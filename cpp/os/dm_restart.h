// Makes a kernel ask for recovery work again (R11): suspends the device whose live mirror target has a given
// log, and resumes it. A kernel that has once heard that all regions are in sync asks no more until then.
//
// Nothing is executed for it and no udev cookie waits: the root disk may lie behind the mirror. Nobody else's
// work is disturbed: a device with a table loaded behind the live one, or that is suspended already, is left
// alone; and when a table was loaded while it was suspended here, a resume would make that one live, so it is
// left to whoever loaded it, and looked at until they have resumed the device or cleared the table. (Between
// that look and the resume somebody may still load one; the kernel has no way to ask for both at once.)
//
// Who calls this stores the intent first. Killed in between, the next daemon does it again; what it finds
// suspended then it resumes. A suspend of the one before may still be waiting in the kernel, which takes one
// at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "os/dm_control.h"

namespace lockstep {

enum class RestartOutcome : uint8_t {
  /// It is not suspended, and was.
  restarted = 0,
  /// No live table names the log.
  absent = 1,
  /// A table waits behind the live one: nothing was done.
  inactive_table = 2,
  /// Somebody else has suspended it: nothing was done.
  suspended = 3,
};

class RecoveryRestart {
 public:
  /// `begun`: an earlier daemon may have left it suspended, or be about to.
  RecoveryRestart(std::string uuid, bool begun) : uuid_(std::move(uuid)), begun_(begun) {}

  /// Goes on, which may block until the device has come to rest. Nothing when it is over, or after how long
  /// to call again.
  [[nodiscard]] std::optional<std::chrono::milliseconds> step(DmControl& control);

  /// The last step was broken off: what it has done is not known.
  void broken_off() { begun_ = true; }

  RestartOutcome outcome() const { return outcome_; }
  /// An errno that ended it before anything was suspended; 0: none did.
  int error() const { return error_; }

 private:
  std::optional<std::chrono::milliseconds> end(RestartOutcome outcome, int error = 0);
  std::optional<std::chrono::milliseconds> suspend(DmControl& control, uint64_t device);

  std::string uuid_;
  /// Somebody has begun this before: when it is suspended, that may be ours.
  bool begun_;
  /// It is suspended by us, or by a daemon before this one.
  bool suspended_ = false;
  RestartOutcome outcome_ = RestartOutcome::absent;
  int error_ = 0;
};

}  // namespace lockstep
