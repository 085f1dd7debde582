#include "core/frame.h"

#include "core/bytes.h"

namespace lockstep {
namespace {

// Netlink header.
constexpr size_t netlink_length_at = 0;
constexpr size_t netlink_type_at = 4;
constexpr size_t netlink_seq_at = 8;
constexpr size_t netlink_align = 4;
// Connector header.
constexpr size_t index_at = 16;
constexpr size_t value_at = 20;
constexpr size_t connector_seq_at = 24;
constexpr size_t connector_ack_at = 28;
constexpr size_t connector_length_at = 32;
// Request header.
constexpr size_t luid_at = request_offset + 0;
constexpr size_t uuid_at = request_offset + 8;
constexpr size_t uuid_room = uuid_bytes_max + 1;
constexpr size_t version_at = request_offset + 140;
constexpr size_t error_at = request_offset + 144;
constexpr size_t seq_at = request_offset + 148;
constexpr size_t type_at = request_offset + 152;
constexpr size_t data_size_at = request_offset + 156;
static_assert(uuid_at + uuid_room <= version_at && data_size_at + 4 == payload_offset);

}  // namespace

const char* frame_error_text(FrameError error) noexcept {
  switch (error) {
    case FrameError::ok:
      return "ok";
    case FrameError::size:
      return "datagram too short or too long";
    case FrameError::netlink_length:
      return "netlink length does not fit the datagram";
    case FrameError::netlink_type:
      return "not a connector message";
    case FrameError::foreign_id:
      return "foreign connector id";
    case FrameError::connector_length:
      return "connector length does not fit the message";
    case FrameError::short_request:
      return "no room for a request header";
    case FrameError::version:
      return "unknown request version";
    case FrameError::uuid:
      return "uuid does not end";
    case FrameError::data_size:
      return "data size does not fit the message";
  }
  return "unknown";
}

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

FrameError decode_frame(std::span<const uint8_t> datagram, Frame& frame) noexcept {
  const FrameError error = check_frame(datagram);
  if (error != FrameError::ok) return error;
  frame.netlink_seq = load_le<uint32_t>(datagram, netlink_seq_at);
  frame.connector_seq = load_le<uint32_t>(datagram, connector_seq_at);
  frame.connector_ack = load_le<uint32_t>(datagram, connector_ack_at);
  frame.luid = load_le<uint64_t>(datagram, luid_at);
  const auto uuid = datagram.subspan(uuid_at, uuid_room);
  const auto end = std::find(uuid.begin(), uuid.end(), uint8_t{0});
  frame.uuid = {reinterpret_cast<const char*>(uuid.data()), static_cast<size_t>(end - uuid.begin())};
  frame.version = load_le<uint32_t>(datagram, version_at);
  frame.error = load_le<int32_t>(datagram, error_at);
  frame.seq = load_le<uint32_t>(datagram, seq_at);
  frame.request_type = load_le<uint32_t>(datagram, type_at);
  frame.data = datagram.subspan(payload_offset, load_le<uint32_t>(datagram, data_size_at));
  return FrameError::ok;
}

size_t encode_frame(const Frame& frame, std::span<uint8_t> into) noexcept {
  const size_t length = payload_offset + frame.data.size();
  if (frame.data.size() > payload_bytes_max || into.size() < length) return 0;
  into = into.first(length);
  std::fill_n(into.begin(), payload_offset, uint8_t{0});
  if (!store_text(into.subspan(uuid_at, uuid_bytes_max), frame.uuid)) return 0;
  store_le<uint32_t>(into, netlink_length_at, static_cast<uint32_t>(length));
  store_le<uint16_t>(into, netlink_type_at, netlink_done);
  store_le<uint32_t>(into, netlink_seq_at, frame.netlink_seq);
  store_le<uint32_t>(into, index_at, connector_index);
  store_le<uint32_t>(into, value_at, connector_value);
  store_le<uint32_t>(into, connector_seq_at, frame.connector_seq);
  store_le<uint32_t>(into, connector_ack_at, frame.connector_ack);
  store_le<uint16_t>(into, connector_length_at, static_cast<uint16_t>(length - request_offset));
  store_le<uint64_t>(into, luid_at, frame.luid);
  store_le<uint32_t>(into, version_at, frame.version);
  store_le<int32_t>(into, error_at, frame.error);
  store_le<uint32_t>(into, seq_at, frame.seq);
  store_le<uint32_t>(into, type_at, frame.request_type);
  store_le<uint32_t>(into, data_size_at, static_cast<uint32_t>(frame.data.size()));
  std::copy(frame.data.begin(), frame.data.end(), into.begin() + payload_offset);
  return length;
}

}  // namespace lockstep
