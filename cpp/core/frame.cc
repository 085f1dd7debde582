#include "core/frame.h"

#include "core/bytes.h"

namespace lockstep {
namespace {

// Netlink header.
constexpr size_t netlink_length_at = 0;
constexpr size_t netlink_type_at = 4;
constexpr size_t netlink_align = 4;
// Connector header.
constexpr size_t index_at = 16;
constexpr size_t value_at = 20;
constexpr size_t connector_length_at = 32;
// Request header.
constexpr size_t uuid_at = request_offset + 8;
constexpr size_t uuid_room = uuid_bytes_max + 1;
constexpr size_t version_at = request_offset + 140;
constexpr size_t data_size_at = request_offset + 156;
static_assert(uuid_at + uuid_room <= version_at && data_size_at + 4 == payload_offset);

}  // namespace

FrameError check_frame(std::span<const uint8_t> datagram) noexcept {
  if (datagram.size() < request_offset || datagram.size() > frame_bytes_max) return FrameError::size;
  const size_t length = load_le<uint32_t>(datagram, netlink_length_at);
  // The kernel pads a datagram to the netlink alignment and leaves the padding out of nlmsg_len.
  if (length < request_offset || length > datagram.size() || datagram.size() - length >= netlink_align) {
    return FrameError::netlink_length;
  }
  if (load_le<uint16_t>(datagram, netlink_type_at) != netlink_done) return FrameError::netlink_type;
  if (load_le<uint32_t>(datagram, index_at) != connector_index ||
      load_le<uint32_t>(datagram, value_at) != connector_value) {
    return FrameError::foreign_id;
  }
  const size_t connector_length = load_le<uint16_t>(datagram, connector_length_at);
  if (connector_length > length - request_offset) return FrameError::connector_length;
  if (connector_length < request_header_bytes) return FrameError::short_request;

  const uint32_t version = load_le<uint32_t>(datagram, version_at);
  if (version == 0 || version > request_version_max) return FrameError::version;
  const auto uuid = datagram.subspan(uuid_at, uuid_room);
  if (std::find(uuid.begin(), uuid.end(), uint8_t{0}) == uuid.end()) return FrameError::uuid;
  if (load_le<uint32_t>(datagram, data_size_at) > connector_length - request_header_bytes) {
    return FrameError::data_size;
  }
  return FrameError::ok;
}

}  // namespace lockstep
