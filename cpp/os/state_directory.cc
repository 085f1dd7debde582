#include "os/state_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

namespace lockstep {
namespace {

constexpr std::string_view temporary_prefix = ".new-";
constexpr const char* lock_name = "lock";
constexpr mode_t directory_mode = 0700;
constexpr mode_t file_mode = 0600;
constexpr int reserve_tries_max = 100;

int check_ours(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return errno;
  const bool closed_to_others = (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
  return status.st_uid == geteuid() && closed_to_others ? 0 : EACCES;
}

/// A lock of the open file and not of the process: two engines of one process exclude each other too.
int lock_whole_file(int fd) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return 0;
  return errno == EAGAIN || errno == EACCES ? EBUSY : errno;
}

}  // namespace

int StateDirectory::open(const std::string& path) {
  if (mkdir(path.c_str(), directory_mode) != 0 && errno != EEXIST) return errno;
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return errno;
  if (const int error = check_ours(directory.get()); error != 0) return error;
  Fd lock(openat(directory.get(), lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, file_mode));
  if (!lock.valid()) return errno;
  if (const int error = lock_whole_file(lock.get()); error != 0) return error;
  directory_ = std::move(directory);
  lock_ = std::move(lock);
  return 0;
}

int StateDirectory::create_temporary(uint64_t bytes, uint64_t bytes_reserved, std::string& name, Fd& file,
                                     Mapping& mapping) {
  // Names of an earlier process are deleted before the first creation (`list`), so counting is enough.
  name = std::string(temporary_prefix) + std::to_string(++temporary_count_);
  constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  file = Fd(openat(directory_.get(), name.c_str(), flags, file_mode));
  if (!file.valid()) return errno;
  int error = ftruncate(file.get(), static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  // A store to a page that a full tmpfs cannot give is a SIGBUS; what is reserved here cannot meet that.
  if (error == 0) error = reserve(file, bytes_reserved);
  if (error == 0) error = Mapping::shared_file(file.get(), bytes, mapping);
  if (error != 0) unlinkat(directory_.get(), name.c_str(), 0);
  return error;
}

// A tmpfs gives up, and back, what it has reserved when anything wants the thread's attention; io_uring's
// completions do, and no signal handler is needed for it. The next try begins anew.
int StateDirectory::reserve(const Fd& file, uint64_t bytes) {
  int error = EINTR;
  for (int attempt = 0; attempt < reserve_tries_max && error == EINTR; attempt++) {
    error = posix_fallocate(file.get(), 0, static_cast<off_t>(bytes));
  }
  return error;
}

int StateDirectory::publish(const std::string& temporary, const std::string& name) const {
  const int at = directory_.get();
  return renameat2(at, temporary.c_str(), at, name.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
}

int StateDirectory::remove(const std::string& name) const {
  return unlinkat(directory_.get(), name.c_str(), 0) == 0 ? 0 : errno;
}

int StateDirectory::rename(const std::string& from, const std::string& to) const {
  return renameat(directory_.get(), from.c_str(), directory_.get(), to.c_str()) == 0 ? 0 : errno;
}

int StateDirectory::map(const std::string& name, Fd& file, Mapping& mapping) const {
  file = Fd(openat(directory_.get(), name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.valid()) return errno;
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EINVAL;
  if (status.st_size == 0) {
    mapping = Mapping();
    return 0;
  }
  return Mapping::shared_file(file.get(), static_cast<uint64_t>(status.st_size), mapping);
}

int StateDirectory::list(const std::string& suffix, std::vector<std::string>& names) const {
  const int copy = openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return errno;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(copy), closedir);
  if (stream == nullptr) {
    const int error = errno;
    ::close(copy);
    return error;
  }
  errno = 0;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name(entry->d_name);
    if (name.starts_with(temporary_prefix)) {
      unlinkat(directory_.get(), entry->d_name, 0);
    } else if (name.ends_with(suffix)) {
      names.emplace_back(name);
    }
    errno = 0;
  }
  return errno;
}

}  // namespace lockstep
