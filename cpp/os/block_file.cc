#include "os/block_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <bit>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "core/limits.h"

namespace lockstep {
namespace {

constexpr uint32_t logical_block_bytes_min = 512;

std::optional<dev_t> parse_device_number(std::string_view name) {
  unsigned major_number = 0;
  unsigned minor_number = 0;
  const char* end = name.data() + name.size();
  const auto first = std::from_chars(name.data(), end, major_number);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ':') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, minor_number);
  if (second.ec != std::errc() || second.ptr != end) return std::nullopt;
  return makedev(major_number, minor_number);
}

/// The kernel's name of the device, by which it stands in /dev where udev does not link /dev/block.
std::optional<std::string> kernel_device_name(const std::string& numbers) {
  const std::string link = "/sys/dev/block/" + numbers;
  std::string target(PATH_MAX, '\0');
  const ssize_t length = readlink(link.c_str(), target.data(), target.size());
  if (length <= 0) return std::nullopt;
  target.resize(static_cast<size_t>(length));
  std::string name = target.substr(target.rfind('/') + 1);
  // In device names sysfs writes ! for a slash.
  for (char& letter : name) letter = letter == '!' ? '/' : letter;
  return name;
}

int open_path(const std::string& path, Fd& fd, bool& direct) {
  // Not blocking: a path may lead to a FIFO, say, and only then is it known to be the wrong thing.
  constexpr int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  direct = true;
  fd = Fd(::open(path.c_str(), flags | O_DIRECT));
  if (!fd.valid() && errno == EINVAL) {
    direct = false;
    fd = Fd(::open(path.c_str(), flags));
  }
  return fd.valid() ? 0 : errno;
}

/// The number of the block device that the name means, now.
std::optional<dev_t> device_number_of(const std::string& name) {
  if (const auto number = parse_device_number(name)) return number;
  struct stat status = {};
  if (stat(name.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) return std::nullopt;
  return status.st_rdev;
}

int open_name(const std::string& name, BlockFile& into) {
  const std::optional<dev_t> wanted = device_number_of(name);
  if (!wanted) return open_path(name, into.fd, into.direct);
  const std::string numbers = std::to_string(major(*wanted)) + ":" + std::to_string(minor(*wanted));
  const bool by_number = parse_device_number(name).has_value();
  const auto kernel_name = kernel_device_name(numbers);
  std::vector<std::string> paths;
  // The kernel's own node first: a lock belongs to the node and not to the device, so all must open the same.
  if (kernel_name) paths.push_back("/dev/" + *kernel_name);
  paths.push_back(by_number ? "/dev/block/" + numbers : name);
  if (kernel_name && by_number) paths.push_back("/dev/mapper/" + *kernel_name);
  int error = ENOENT;
  for (const std::string& path : paths) {
    const int opened = open_path(path, into.fd, into.direct);
    if (opened != 0) {
      if (opened != ENOENT) error = opened;
      continue;
    }
    // A link may be stale: what counts is the number of what was opened.
    struct stat status = {};
    if (fstat(into.fd.get(), &status) == 0 && S_ISBLK(status.st_mode) && status.st_rdev == *wanted) return 0;
    into.fd.reset();
    error = ENXIO;
  }
  return error;
}

int describe_block_device(const struct stat& status, BlockFile& into) {
  uint64_t bytes = 0;
  int block_size = 0;
  if (ioctl(into.fd.get(), BLKGETSIZE64, &bytes) != 0) return errno;
  if (ioctl(into.fd.get(), BLKSSZGET, &block_size) != 0) return errno;
  if (block_size < static_cast<int>(logical_block_bytes_min) || block_size > static_cast<int>(block_bytes) ||
      !std::has_single_bit(static_cast<unsigned>(block_size))) {
    return EINVAL;
  }
  into.device_major = major(status.st_rdev);
  into.device_minor = minor(status.st_rdev);
  into.identity = std::to_string(into.device_major) + ":" + std::to_string(into.device_minor);
  into.is_block_device = true;
  into.bytes = bytes;
  into.logical_block_bytes = static_cast<uint32_t>(block_size);
  return 0;
}

uint32_t direct_alignment(const Fd& fd) {
#ifdef STATX_DIOALIGN
  struct statx extended = {};
  if (statx(fd.get(), "", AT_EMPTY_PATH, STATX_DIOALIGN, &extended) == 0 &&
      (extended.stx_mask & STATX_DIOALIGN) != 0 && extended.stx_dio_offset_align > logical_block_bytes_min &&
      extended.stx_dio_offset_align <= block_bytes && std::has_single_bit(extended.stx_dio_offset_align)) {
    return extended.stx_dio_offset_align;
  }
#else
  static_cast<void>(fd);
#endif
  return logical_block_bytes_min;
}

void describe_file(const struct stat& status, BlockFile& into) {
  into.device_major = major(status.st_dev);
  into.device_minor = minor(status.st_dev);
  into.identity = "file:" + std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  into.bytes = static_cast<uint64_t>(status.st_size);
  into.logical_block_bytes = into.direct ? direct_alignment(into.fd) : logical_block_bytes_min;
}

}  // namespace

int open_block_file(const std::string& name, BlockFile& into) {
  BlockFile opened;
  if (const int error = open_name(name, opened); error != 0) return error;
  struct stat status = {};
  if (fstat(opened.fd.get(), &status) != 0) return errno;
  if (S_ISBLK(status.st_mode)) {
    if (const int error = describe_block_device(status, opened); error != 0) return error;
  } else if (S_ISREG(status.st_mode)) {
    describe_file(status, opened);
  } else {
    return EINVAL;
  }
  // O_NONBLOCK was for the opening; requests queue.
  const int flags = fcntl(opened.fd.get(), F_GETFL);
  if (flags < 0 || fcntl(opened.fd.get(), F_SETFL, flags & ~O_NONBLOCK) != 0) return errno;
  into = std::move(opened);
  return 0;
}

int claim_block_file(const BlockFile& file) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(file.fd.get(), F_OFD_SETLK, &lock) == 0) return 0;
  return errno == EACCES ? EAGAIN : errno;
}

}  // namespace lockstep
