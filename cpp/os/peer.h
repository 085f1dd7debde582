// Who somebody else is: the process at the other end of a local socket, and the process that holds a pid
// file.
#pragma once

#include <sys/types.h>

#include <string>

namespace lockstep {

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// The credentials that the other end had when it connected (SO_PEERCRED). 0 or an errno.
[[nodiscard]] int peer_credentials(int fd, PeerCredentials& into) noexcept;

/// Which process holds a write lock on the file, as LVM2 looks (`fcntl(F_GETLK)`); 0: none. The file is
/// opened for reading and closed again, so never ask for a file that this process has locked: its lock would
/// go. 0 or an errno; ENOENT when there is no such file.
[[nodiscard]] int pid_file_holder(const std::string& path, pid_t& into) noexcept;

}  // namespace lockstep
