// Opens what a log lies on: a block device by path or by `major:minor`, or a regular file.
#pragma once

#include <cstdint>
#include <string>

#include "os/fd.h"

namespace lockstep {

struct BlockFile {
  Fd fd;
  /// `major:minor` of a block device, `file:<dev>:<inode>` of a file.
  std::string identity;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint64_t bytes = 0;
  uint32_t logical_block_bytes = 0;
  bool is_block_device = false;
  /// False where the file system does not offer O_DIRECT.
  bool direct = false;
};

/// May block for as long as the device likes. 0 or an errno: EINVAL for what is neither block device nor
/// regular file, ENXIO when `major:minor` led to another device.
[[nodiscard]] int open_block_file(const std::string& name, BlockFile& into);

/// Locks the whole file against every other open file of it that is claimed, until its last reference goes.
/// Never waits: 0, EAGAIN while another one has the lock, or another errno.
///
/// The lock is one of the open file description, which a write that io_uring has in flight refers to: it
/// stays until that write has ended, also when the process was killed, and the next daemon's claim waits for
/// it.
[[nodiscard]] int claim_block_file(const BlockFile& file);

}  // namespace lockstep
