// One connector datagram: netlink header, connector header, request header, payload (docs/dirty-log.md, 1.2).
// Checks what the kernel, or something that passes for it, has sent, before anything else reads it. What the
// request asks for is not looked at here; TypeScript decodes the rest in place.
#pragma once

#include <cstdint>
#include <span>

#include "core/limits.h"

namespace lockstep {

inline constexpr uint16_t netlink_done = 3;
inline constexpr uint32_t connector_index = 7;
inline constexpr uint32_t connector_value = 1;

enum class FrameError {
  ok,
  /// Shorter than netlink and connector header, or longer than a frame may be.
  size,
  /// nlmsg_len does not fit the datagram.
  netlink_length,
  /// nlmsg_type is not that of a connector message.
  netlink_type,
  /// The connector id is not 7:1.
  foreign_id,
  /// The connector length does not fit nlmsg_len.
  connector_length,
  /// The connector message has no room for a request header.
  short_request,
  // From here on the request header is there, and the sender waits for an answer.
  /// A request version that does not exist: its requests may mean something else.
  version,
  /// The uuid has no NUL.
  uuid,
  /// data_size is longer than the connector message.
  data_size,
};

/// True when a frame with this error has a whole request header: it can be answered with -EINVAL.
[[nodiscard]] constexpr bool frame_answerable(FrameError error) noexcept {
  return error >= FrameError::version;
}

/// The first thing that is wrong with the datagram.
[[nodiscard]] FrameError check_frame(std::span<const uint8_t> datagram) noexcept;

}  // namespace lockstep
