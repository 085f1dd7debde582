#include "os/dm_restart.h"

#include <cerrno>

#include "os/dm_tables.h"

namespace lockstep {
namespace {

constexpr std::chrono::milliseconds look_again{100};

}  // namespace

std::optional<std::chrono::milliseconds> RecoveryRestart::step(DmControl& control) {
  uint64_t device = 0;
  int error = find_mirror_device(control, uuid_, device);
  if (error == 0) error = control.ask(DM_DEV_STATUS, device, 0);
  if (error == ENXIO) return end(RestartOutcome::absent);
  if (error != 0)
    return suspended_ || begun_ ? std::optional(look_again) : end(RestartOutcome::absent, error);
  const uint32_t flags = control.head().flags;
  const bool waits = (flags & DM_INACTIVE_PRESENT_FLAG) != 0;
  const bool rests = (flags & DM_SUSPEND_FLAG) != 0;
  if (begun_ && rests) suspended_ = true;
  if (!suspended_) {
    if (waits) return end(RestartOutcome::inactive_table);
    if (rests) return end(RestartOutcome::suspended);
    return suspend(control, device);
  }
  if (!rests) return end(RestartOutcome::restarted);
  if (waits || control.ask(DM_DEV_SUSPEND, device, DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG) != 0) {
    return look_again;
  }
  return end(RestartOutcome::restarted);
}

std::optional<std::chrono::milliseconds> RecoveryRestart::suspend(DmControl& control, uint64_t device) {
  const int error =
      control.ask(DM_DEV_SUSPEND, device, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
  if (error == ENXIO) return end(RestartOutcome::absent);
  // EINVAL: the one before us has suspended it meanwhile.
  if (error != 0 && !(begun_ && error == EINVAL)) return end(RestartOutcome::absent, error);
  suspended_ = true;
  return step(control);
}

std::optional<std::chrono::milliseconds> RecoveryRestart::end(RestartOutcome outcome, int error) {
  outcome_ = outcome;
  error_ = error;
  return std::nullopt;
}

}  // namespace lockstep
