#include "os/pid_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <memory>
#include <thread>

namespace lockstep {
namespace {

constexpr int tries_max = 21;
constexpr std::chrono::milliseconds pause{1};
constexpr mode_t mode = 0644;

int lock_whole_file(int fd) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  for (int attempt = 1;; attempt++) {
    if (fcntl(fd, F_SETLK, &lock) == 0) return 0;
    const bool held = errno == EAGAIN || errno == EACCES;
    if (errno != EINTR && (!held || attempt >= tries_max)) return errno;
    std::this_thread::sleep_for(pause);
  }
}

/// False when the file was removed, or replaced, since it was opened.
bool still_named(int fd, const std::string& path) {
  struct stat opened = {};
  struct stat named = {};
  return fstat(fd, &opened) == 0 && lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

/// Emptying what a link leads to, or waiting for a FIFO's reader, is not what somebody asks for who names a
/// pid file: ELOOP for a link, EINVAL for what is no file.
int open_regular(const std::string& path, Fd& fd) {
  fd = Fd(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode));
  if (!fd.valid()) return errno == ENXIO ? EINVAL : errno;
  struct stat status = {};
  if (fstat(fd.get(), &status) != 0) return errno;
  return S_ISREG(status.st_mode) ? 0 : EINVAL;
}

/// Over what the daemon before us left there, and not after emptying it: what a full file system has given
/// back is soon somebody else's. A new file without room stays empty: the lock is what others look at, and
/// mirrors wait for this daemon.
int write_pid(int fd) {
  const std::string text = std::to_string(getpid()) + "\n";
  const ssize_t written = pwrite(fd, text.data(), text.size(), 0);
  if (written < 0) return errno == ENOSPC || errno == EDQUOT ? 0 : errno;
  if (static_cast<size_t>(written) != text.size()) return EIO;
  return ftruncate(fd, written) == 0 ? 0 : errno;
}

/// Absolute, so that it is removed also after a change of folder.
std::string absolute(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr), std::free);
  return resolved == nullptr ? path : std::string(resolved.get());
}

}  // namespace

int PidFile::lock(const std::string& path) {
  for (int attempt = 1;; attempt++) {
    Fd fd;
    if (const int error = open_regular(path, fd); error != 0) return error;
    if (const int error = lock_whole_file(fd.get()); error != 0) return error;
    // The daemon before us removes its file as it ends; a lock on a file without a name is seen by nobody.
    if (!still_named(fd.get(), path)) {
      if (attempt >= tries_max) return EAGAIN;
      continue;
    }
    if (const int error = write_pid(fd.get()); error != 0) return error;
    fd_ = std::move(fd);
    path_ = absolute(path);
    return 0;
  }
}

void PidFile::close() noexcept {
  if (!fd_.valid()) return;
  // Somebody who removed it by hand may have started another daemon since, whose file this is then.
  if (still_named(fd_.get(), path_)) unlink(path_.c_str());
  fd_.reset();
}

}  // namespace lockstep
