// One connector datagram: netlink header, connector header, request header, payload (docs/dirty-log.md, 1.2).
// Checks what the kernel, or something that passes for it, has sent, before anything else reads it. What the
// request asks for is not looked at here; TypeScript decodes the rest in place.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

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
inline constexpr int frame_error_count = static_cast<int>(FrameError::data_size) + 1;

[[nodiscard]] const char* frame_error_text(FrameError error) noexcept;

/// True when a frame with this error has a whole request header: it can be answered with -EINVAL.
[[nodiscard]] constexpr bool frame_answerable(FrameError error) noexcept {
  return error >= FrameError::version;
}

/// The first thing that is wrong with the datagram.
[[nodiscard]] FrameError check_frame(std::span<const uint8_t> datagram) noexcept;

/// A request or reply in full form, with views into its datagram.
struct Frame {
  uint32_t netlink_seq = 0;
  uint32_t connector_seq = 0;
  uint32_t connector_ack = 0;
  uint64_t luid = 0;
  std::string_view uuid;
  uint32_t version = 0;
  int32_t error = 0;
  uint32_t seq = 0;
  uint32_t request_type = 0;
  std::span<const uint8_t> data;
};

/// Checks and decodes; `frame` is filled in only when the answer is ok.
[[nodiscard]] FrameError decode_frame(std::span<const uint8_t> datagram, Frame& frame) noexcept;
/// Encodes; returns the frame's length, or 0 when `into`, the uuid or the payload is too small or too long.
[[nodiscard]] size_t encode_frame(const Frame& frame, std::span<uint8_t> into) noexcept;

}  // namespace lockstep
