// Connector datagrams, raw and as well-formed frames that the input then damages. Whatever arrives: a frame
// that is accepted lies within its datagram and survives encode and decode; one that is refused leaves no
// trace.
#include <array>
#include <vector>

#include "core/bytes.h"
#include "core/frame.h"
#include "fuzz/fuzz_support.h"

using namespace lockstep;
using lockstep::fuzz::Input;

namespace {

bool same(const Frame& one, const Frame& other) {
  return one.netlink_seq == other.netlink_seq && one.connector_seq == other.connector_seq &&
         one.connector_ack == other.connector_ack && one.luid == other.luid && one.uuid == other.uuid &&
         one.version == other.version && one.error == other.error && one.seq == other.seq &&
         one.request_type == other.request_type &&
         std::equal(one.data.begin(), one.data.end(), other.data.begin(), other.data.end());
}

bool within(std::span<const uint8_t> outer, const void* at, size_t length) {
  const auto* first = static_cast<const uint8_t*>(at);
  return length == 0 || (first >= outer.data() && first + length <= outer.data() + outer.size());
}

void check(std::span<const uint8_t> datagram) {
  Frame frame;
  const FrameError error = decode_frame(datagram, frame);
  LOCKSTEP_ASSERT(check_frame(datagram) == error);
  if (frame_answerable(error)) LOCKSTEP_ASSERT(datagram.size() >= payload_offset);
  if (error != FrameError::ok) {
    LOCKSTEP_ASSERT(frame.uuid.empty() && frame.data.empty());
    return;
  }
  LOCKSTEP_ASSERT(datagram.size() >= payload_offset && datagram.size() <= frame_bytes_max);
  LOCKSTEP_ASSERT(frame.uuid.size() <= uuid_bytes_max &&
                  within(datagram, frame.uuid.data(), frame.uuid.size()));
  LOCKSTEP_ASSERT(frame.data.size() <= payload_bytes_max &&
                  within(datagram, frame.data.data(), frame.data.size()));

  std::array<uint8_t, frame_bytes_max> room{};
  const size_t length = encode_frame(frame, room);
  LOCKSTEP_ASSERT(length == payload_offset + frame.data.size() && length <= datagram.size());
  Frame again;
  LOCKSTEP_ASSERT(decode_frame(std::span(room).first(length), again) == FrameError::ok);
  LOCKSTEP_ASSERT(same(frame, again));
  // Cut anywhere, it is no frame any more: either its lengths do not fit, or nothing is left.
  if (length > 4) LOCKSTEP_ASSERT(check_frame(std::span(room).first(length - 1)) != FrameError::ok);
}

/// A well-formed frame from the input, then up to some bytes of it overwritten.
void check_damaged(Input input) {
  Frame frame;
  frame.version = 1 + static_cast<uint32_t>(input.below(request_version_max));
  frame.request_type = input.take<uint8_t>();
  frame.luid = input.take<uint64_t>();
  frame.seq = frame.netlink_seq = frame.connector_seq = input.take<uint32_t>();
  frame.uuid = input.take_text(input.below(uuid_bytes_max + 1));
  frame.data = input.take_bytes(input.below(256));
  // On the heap and exactly as long as it is, so that one byte too far is seen.
  std::vector<uint8_t> datagram(payload_offset + frame.data.size());
  LOCKSTEP_ASSERT(encode_frame(frame, datagram) == datagram.size());
  Frame whole;
  LOCKSTEP_ASSERT(decode_frame(datagram, whole) == FrameError::ok && same(frame, whole));
  while (!input.empty()) {
    datagram[input.take<uint16_t>() % datagram.size()] = input.take<uint8_t>();
    check(datagram);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  Input input(data, size);
  if (input.take<uint8_t>() % 2 == 0) {
    const auto raw = input.take_bytes(size);
    check(std::vector<uint8_t>(raw.begin(), raw.end()));
  } else {
    check_damaged(input);
  }
  return 0;
}
