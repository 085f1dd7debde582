// Connector datagrams: a frame byte by byte, the way there and back, and a table of malformed ones.
#include "core/frame.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "core/bytes.h"
#include "tests/support.h"

using namespace lockstep;

namespace {

using Bytes = std::vector<uint8_t>;

const std::vector<uint8_t> regions{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};

Frame example() {
  return {.netlink_seq = 0x11,
          .connector_seq = 0x22,
          .connector_ack = 0,
          .luid = 0xFFFF888012345678,
          .uuid = "LVM-uuid",
          .version = 3,
          .error = -22,
          .seq = 0x33,
          .request_type = 10,
          .data = regions};
}

Bytes encoded(const Frame& frame) {
  Bytes bytes(frame_bytes_max);
  const size_t length = encode_frame(frame, bytes);
  REQUIRE(length == payload_offset + frame.data.size());
  bytes.resize(length);
  return bytes;
}

}  // namespace

TEST_CASE("frame: every field at its place") {
  const Bytes bytes = encoded(example());
  REQUIRE(bytes.size() == 212);
  CHECK(load_le<uint32_t>(bytes, 0) == 212);
  CHECK(load_le<uint16_t>(bytes, 4) == 3);
  CHECK(load_le<uint32_t>(bytes, 8) == 0x11);
  CHECK(load_le<uint32_t>(bytes, 16) == 7);
  CHECK(load_le<uint32_t>(bytes, 20) == 1);
  CHECK(load_le<uint32_t>(bytes, 24) == 0x22);
  CHECK(load_le<uint16_t>(bytes, 32) == 176);
  CHECK(load_le<uint64_t>(bytes, 36) == 0xFFFF888012345678);
  CHECK(std::string(reinterpret_cast<const char*>(bytes.data()) + 44) == "LVM-uuid");
  CHECK(load_le<uint32_t>(bytes, 36 + 140) == 3);
  CHECK(load_le<int32_t>(bytes, 36 + 144) == -22);
  CHECK(load_le<uint32_t>(bytes, 36 + 148) == 0x33);
  CHECK(load_le<uint32_t>(bytes, 36 + 152) == 10);
  CHECK(load_le<uint32_t>(bytes, 36 + 156) == 16);
  CHECK(bytes[196] == 1);
  CHECK(bytes[204] == 2);
}

TEST_CASE("frame: there and back") {
  test::Random random(12);
  for (int round = 0; round < 500; round++) {
    const std::string uuid(random.below(uuid_bytes_max + 1), 'u');
    const auto data = test::random_bytes(random, random.below(payload_bytes_max + 1));
    Frame frame{.netlink_seq = static_cast<uint32_t>(random.next()),
                .connector_seq = static_cast<uint32_t>(random.next()),
                .connector_ack = static_cast<uint32_t>(random.next()),
                .luid = random.next(),
                .uuid = uuid,
                .version = 1 + static_cast<uint32_t>(random.below(3)),
                .error = static_cast<int32_t>(random.next()),
                .seq = static_cast<uint32_t>(random.next()),
                .request_type = static_cast<uint32_t>(random.next()),
                .data = data};
    const Bytes bytes = encoded(frame);
    Frame decoded;
    REQUIRE(decode_frame(bytes, decoded) == FrameError::ok);
    REQUIRE(decoded.uuid == uuid);
    REQUIRE(decoded.luid == frame.luid);
    REQUIRE(std::equal(data.begin(), data.end(), decoded.data.begin(), decoded.data.end()));
    REQUIRE(encoded(decoded) == bytes);
  }
}

TEST_CASE("frame: what does not fit is not encoded") {
  Bytes room(4096);
  Frame frame = example();
  CHECK(encode_frame(frame, std::span(room).first(211)) == 0);
  const std::string uuid(129, 'u');
  frame.uuid = uuid;
  CHECK(encode_frame(frame, room) == 0);
  frame = example();
  const Bytes data(payload_bytes_max + 1);
  frame.data = data;
  CHECK(encode_frame(frame, room) == 0);
}

TEST_CASE("frame: malformed datagrams, each by its name") {
  const auto refusal = [](const std::function<void(Bytes&)>& change) {
    Bytes bytes = encoded(example());
    change(bytes);
    Frame untouched;
    const FrameError error = decode_frame(bytes, untouched);
    CHECK(error == check_frame(bytes));
    if (error != FrameError::ok) CHECK(untouched.uuid.empty());
    return error;
  };
  const auto word = [](size_t at, uint32_t value) {
    return [=](Bytes& bytes) { store_le<uint32_t>(bytes, at, value); };
  };
  const auto half = [](size_t at, uint16_t value) {
    return [=](Bytes& bytes) { store_le<uint16_t>(bytes, at, value); };
  };

  CHECK(refusal([](Bytes&) {}) == FrameError::ok);
  CHECK(refusal([](Bytes& bytes) { bytes.clear(); }) == FrameError::size);
  CHECK(refusal([](Bytes& bytes) { bytes.resize(35); }) == FrameError::size);
  CHECK(refusal([](Bytes& bytes) { bytes.resize(2049); }) == FrameError::size);
  CHECK(refusal([](Bytes& bytes) { bytes.resize(211); }) == FrameError::netlink_length);
  CHECK(refusal([](Bytes& bytes) { bytes.resize(215); }) == FrameError::ok);
  CHECK(refusal([](Bytes& bytes) { bytes.resize(216); }) == FrameError::netlink_length);
  CHECK(refusal(word(0, 0)) == FrameError::netlink_length);
  CHECK(refusal(word(0, 35)) == FrameError::netlink_length);
  CHECK(refusal(word(0, 0xFFFFFFFF)) == FrameError::netlink_length);
  CHECK(refusal(half(4, 2)) == FrameError::netlink_type);
  CHECK(refusal(word(16, 1)) == FrameError::foreign_id);
  CHECK(refusal(word(20, 2)) == FrameError::foreign_id);
  CHECK(refusal(half(32, 177)) == FrameError::connector_length);
  CHECK(refusal(half(32, 0xFFFF)) == FrameError::connector_length);
  CHECK(refusal(half(32, 0)) == FrameError::short_request);
  CHECK(refusal(half(32, 159)) == FrameError::short_request);
  CHECK(refusal(word(36 + 140, 0)) == FrameError::version);
  CHECK(refusal(word(36 + 140, 4)) == FrameError::version);
  CHECK(refusal([](Bytes& bytes) { std::fill_n(bytes.begin() + 44, 129, uint8_t{'u'}); }) ==
        FrameError::uuid);
  CHECK(refusal([](Bytes& bytes) { std::fill_n(bytes.begin() + 44, 128, uint8_t{'u'}); }) == FrameError::ok);
  CHECK(refusal(word(36 + 156, 17)) == FrameError::data_size);
  CHECK(refusal(word(36 + 156, 0xFFFFFFFF)) == FrameError::data_size);
  CHECK(refusal(word(36 + 156, 0)) == FrameError::ok);
  // 36 bytes: an acknowledgement, which is no request.
  CHECK(refusal([](Bytes& bytes) {
          bytes.resize(36);
          store_le<uint32_t>(bytes, 0, 36);
          store_le<uint16_t>(bytes, 32, 0);
        }) == FrameError::short_request);
}

TEST_CASE("frame: only what has a request header can be answered; every error has a text") {
  for (int error = 0; error < frame_error_count; error++) {
    const auto kind = static_cast<FrameError>(error);
    CHECK(std::string(frame_error_text(kind)) != "unknown");
    const bool answerable =
        kind == FrameError::version || kind == FrameError::uuid || kind == FrameError::data_size;
    CHECK(frame_answerable(kind) == answerable);
  }
}
