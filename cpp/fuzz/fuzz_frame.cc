// Connector datagrams, raw and as well-formed frames that the input then damages. Whatever arrives: a frame
// that is accepted lies within its datagram and fits the request that it claims to be; one that is cut is
// refused.
#include <vector>

#include "core/bytes.h"
#include "core/frame.h"
#include "fuzz/fuzz_support.h"
#include "tests/request_frame.h"

using namespace lockstep;
using lockstep::fuzz::Input;

namespace {

void check(std::span<const uint8_t> datagram) {
  const FrameError error = check_frame(datagram);
  if (frame_answerable(error)) LOCKSTEP_ASSERT(datagram.size() >= payload_offset);
  if (error != FrameError::ok) return;
  LOCKSTEP_ASSERT(datagram.size() >= payload_offset && datagram.size() <= frame_bytes_max);
  // What reads the frame from here on trusts these: the uuid ends, and the payload is there.
  dm_ulog_request request;
  std::memcpy(&request, datagram.data() + request_offset, sizeof(request));
  LOCKSTEP_ASSERT(std::memchr(request.uuid, 0, sizeof(request.uuid)) != nullptr);
  LOCKSTEP_ASSERT(request.data_size <= payload_bytes_max &&
                  payload_offset + request.data_size <= datagram.size());
  // Cut anywhere before its end, it is no frame any more.
  const size_t length = load_le<uint32_t>(datagram, 0);
  for (const size_t cut : {length - 1, length / 2, size_t{request_offset}, size_t{0}})
    LOCKSTEP_ASSERT(check_frame(datagram.first(cut)) != FrameError::ok);
}

/// A well-formed frame from the input, then up to some bytes of it overwritten.
void check_damaged(Input input) {
  test::RequestFrame frame;
  frame.version = 1 + static_cast<uint32_t>(input.below(request_version_max));
  frame.request_type = input.take<uint8_t>();
  frame.luid = input.take<uint64_t>();
  frame.seq = input.take<uint32_t>();
  frame.uuid = input.take_text(input.below(uuid_bytes_max + 1));
  frame.data = input.take_bytes(input.below(256));
  std::vector<uint8_t> datagram = frame.bytes();
  LOCKSTEP_ASSERT(check_frame(datagram) == FrameError::ok);
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
