#include "os/dm_control.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "core/bytes.h"

namespace lockstep {
namespace {

constexpr const char* control_path = "/dev/mapper/control";
constexpr size_t answer_bytes_min = size_t{16} << 10;
/// A table of a hundred thousand targets; a longer answer is an error.
constexpr size_t answer_bytes_max = size_t{16} << 20;
constexpr size_t data_at = sizeof(dm_ioctl);

}  // namespace

int DmControl::open() {
  if (ioctl_) return 0;
  fd_ = Fd(::open(control_path, O_RDWR | O_CLOEXEC));
  if (!fd_.valid()) return errno;
  ioctl_ = [fd = fd_.get()](unsigned long request, dm_ioctl* buffer) {
    return ioctl(fd, request, buffer) == 0 ? 0 : errno;
  };
  return 0;
}

int DmControl::ask(unsigned long request, uint64_t device, uint32_t flags) {
  for (size_t bytes = std::max(answer_bytes_min, buffer_.size() * 8); bytes <= answer_bytes_max; bytes *= 4) {
    buffer_.assign(bytes / sizeof(uint64_t), 0);
    dm_ioctl& head = *reinterpret_cast<dm_ioctl*>(buffer_.data());
    // The first minor version: it has all that is asked for here.
    head.version[0] = DM_VERSION_MAJOR;
    head.data_size = static_cast<uint32_t>(bytes);
    head.data_start = data_at;
    head.dev = device;
    head.flags = flags;
    int error = 0;
    do {
      error = ioctl_(request, &head);
    } while (error == EINTR);
    if (error != 0) return error;
    if ((head.flags & DM_BUFFER_FULL_FLAG) == 0) return 0;
  }
  return E2BIG;
}

std::optional<std::span<const uint8_t>> DmControl::data() const {
  return dm_answer_data({reinterpret_cast<const uint8_t*>(buffer_.data()), buffer_.size() * 8});
}

std::optional<std::span<const uint8_t>> dm_answer_data(std::span<const uint8_t> answer) {
  if (answer.size() < data_at) return std::nullopt;
  const auto start = load_le<uint32_t>(answer, offsetof(dm_ioctl, data_start));
  const auto end = load_le<uint32_t>(answer, offsetof(dm_ioctl, data_size));
  // No table, no data: the size is that of the header, with or without the bytes that pad it.
  if (end >= offsetof(dm_ioctl, data) && end <= data_at) return answer.first(0);
  if (start < data_at || start > end || end > answer.size()) return std::nullopt;
  return answer.subspan(start, end - start);
}

}  // namespace lockstep
