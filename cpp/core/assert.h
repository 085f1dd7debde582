// Assertions that stay on in release builds: a fault of the program ends the process, because going on could
// corrupt a mirror, and the state file makes a dead daemon safe (R2). Not for faults of the world: those are
// values that the caller handles.
#pragma once

namespace lockstep {

/// Prints the failed condition on standard error and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace lockstep

#define LOCKSTEP_ASSERT(condition)                     \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::lockstep::assertion_failed(#condition, __FILE__, __LINE__))
