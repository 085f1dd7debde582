// Keeps the process's own code resident: the daemon must never page in its code from a disk behind a mirror
// it serves. And tells the kernel that write-back may wait for this thread.
#pragma once

#include <cstdint>

namespace lockstep {

struct MemoryLockResult {
  uint64_t locked_bytes = 0;
  uint32_t failures = 0;
  /// Of the first failure.
  int error = 0;
};

/// Locks every mapping of a file that is the process's own: the program, its libraries, the addon, and their
/// data, whose pages are the file's until they are written to. Never mlockall: V8 ends the process when
/// madvise fails on locked pages.
[[nodiscard]] MemoryLockResult lock_code_mappings();

/// PR_SET_IO_FLUSHER for the calling thread and those it starts. 0 or an errno.
[[nodiscard]] int set_io_flusher() noexcept;

}  // namespace lockstep
