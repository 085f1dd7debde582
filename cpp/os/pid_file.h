// The pid file by which LVM2 tells that a log daemon runs: what it looks at is the fcntl lock, not the pid.
#pragma once

#include <string>

#include "os/fd.h"

namespace lockstep {

/// A record lock belongs to the process and goes when *any* descriptor of the file is closed: nobody else in
/// the process may open this path.
class PidFile {
 public:
  PidFile() noexcept = default;
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;
  ~PidFile() { close(); }

  /// 0 or an errno; EAGAIN or EACCES when another process has it, ELOOP for a symbolic link, EINVAL for what
  /// is no regular file.
  [[nodiscard]] int lock(const std::string& path);
  const std::string& path() const noexcept { return path_; }
  /// Removes the file, if it is still the one that was locked, then gives up the lock.
  void close() noexcept;

 private:
  Fd fd_;
  std::string path_;
};

}  // namespace lockstep
