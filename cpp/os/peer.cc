#include "os/peer.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "os/fd.h"

namespace lockstep {

int peer_credentials(int fd, PeerCredentials& into) noexcept {
  ucred found = {};
  socklen_t length = sizeof(found);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &found, &length) != 0) return errno;
  into = {found.pid, found.uid, found.gid};
  return 0;
}

int pid_file_holder(const std::string& path, pid_t& into) noexcept {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return errno;
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd.get(), F_GETLK, &lock) != 0) return errno;
  into = lock.l_type == F_UNLCK ? 0 : lock.l_pid;
  return 0;
}

}  // namespace lockstep
