// Connector datagrams: sound ones, made of the kernel's own structures, and a table of malformed ones.
#include "core/frame.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "core/bytes.h"
#include "tests/request_frame.h"
#include "tests/support.h"

using namespace lockstep;

namespace {

using Bytes = std::vector<uint8_t>;

const std::vector<uint8_t> regions{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};

Bytes example() {
  return test::RequestFrame{.luid = 0xFFFF888012345678,
                            .uuid = "LVM-uuid",
                            .version = 3,
                            .seq = 0x33,
                            .request_type = DM_ULOG_MARK_REGION,
                            .data = regions}
      .bytes();
}

}  // namespace

TEST_CASE("frame: what the kernel sends is accepted, with any uuid, version and payload that fit") {
  CHECK(example().size() == payload_offset + regions.size());
  test::Random random(12);
  for (int round = 0; round < 500; round++) {
    const std::string uuid(random.below(uuid_bytes_max + 1), 'u');
    const auto data = test::random_bytes(random, random.below(payload_bytes_max + 1));
    const Bytes bytes =
        test::RequestFrame{.luid = random.next(),
                           .uuid = uuid,
                           .version = 1 + static_cast<uint32_t>(random.below(request_version_max)),
                           .seq = static_cast<uint32_t>(random.next()),
                           .request_type = static_cast<uint32_t>(random.next()),
                           .data = data}
            .bytes();
    REQUIRE(check_frame(bytes) == FrameError::ok);
  }
}

TEST_CASE("frame: malformed datagrams, each by its name") {
  const auto refusal = [](const std::function<void(Bytes&)>& change) {
    Bytes bytes = example();
    change(bytes);
    return check_frame(bytes);
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

TEST_CASE("frame: only what has a request header can be answered") {
  for (int error = 0; error <= static_cast<int>(FrameError::data_size); error++) {
    const auto kind = static_cast<FrameError>(error);
    const bool answerable =
        kind == FrameError::version || kind == FrameError::uuid || kind == FrameError::data_size;
    CHECK(frame_answerable(kind) == answerable);
  }
}
