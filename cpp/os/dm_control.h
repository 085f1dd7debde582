// Device-mapper's control device: one request at a time, with a buffer that grows to what the kernel has to
// say.
//
// Calls may block as long as somebody holds device-mapper's locks, or until a device has come to rest, so
// they are made on a thread that serves nothing else.
#pragma once

#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "os/fd.h"

namespace lockstep {

class DmControl {
 public:
  /// As `ioctl` of the control device: 0 or an errno.
  using Ioctl = std::function<int(unsigned long request, dm_ioctl* buffer)>;

  DmControl() = default;
  /// Asks something else than this host's kernel.
  explicit DmControl(Ioctl ioctl) : ioctl_(std::move(ioctl)) {}

  /// 0 or an errno: ENOENT without device-mapper, EACCES for users who may not ask.
  [[nodiscard]] int open();

  /// One request; `device` 0: none. Header and data of the answer stay valid until the next one. 0 or an
  /// errno.
  [[nodiscard]] int ask(unsigned long request, uint64_t device, uint32_t flags);

  const dm_ioctl& head() const { return *reinterpret_cast<const dm_ioctl*>(buffer_.data()); }

  /// What lies within the bounds that the answer's header names; nothing when those make no sense.
  std::optional<std::span<const uint8_t>> data() const;

 private:
  Fd fd_;
  Ioctl ioctl_;
  std::vector<uint64_t> buffer_;
};

/// Of a whole answer, header included: what lies within the bounds that the header names; may be empty.
[[nodiscard]] std::optional<std::span<const uint8_t>> dm_answer_data(std::span<const uint8_t> answer);

}  // namespace lockstep
