// The records of a disk log, byte by byte, and everything that must not be taken for one.
#include "core/log_format.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "core/bytes.h"
#include "core/checksum.h"
#include "tests/support.h"

using namespace lockstep;

namespace {

LogSession example() {
  return {.uuid = "LVM-0123456789abcdef",
          .writer_epoch = 0x0002030405060708,
          .node_name = "alpha",
          .boot_id = "5a2f1c7e-0000-4000-8000-00000000cafe",
          .resume_count = 3,
          .region_size_sectors = 2048,
          .closed = true};
}

using Record = std::array<uint8_t, log_session_bytes>;

Record encoded(const LogSession& session) {
  Record record;
  REQUIRE(encode_log_session(session, record));
  return record;
}

void seal(Record& record) {
  store_le<uint32_t>(record, log_session_bytes - 4, crc32c(std::span(record).first(log_session_bytes - 4)));
}

}  // namespace

TEST_CASE("log format: the header's bytes") {
  std::array<uint8_t, log_session_offset> header;
  header.fill(0xAA);
  encode_log_header(0x0000000102030405, header);
  const std::array<uint8_t, 16> expected{0x72, 0x52, 0x69, 0x4d, 2, 0, 0, 0, 5, 4, 3, 2, 1, 0, 0, 0};
  CHECK(std::equal(expected.begin(), expected.end(), header.begin()));
  CHECK(all_zero(std::span<const uint8_t>(header).subspan(16)));

  const LogHeader decoded = decode_log_header(header);
  CHECK(decoded.kind == LogHeaderKind::valid);
  CHECK(decoded.version == 2);
  CHECK(decoded.region_count == 0x0102030405);
}

TEST_CASE("log format: version 1 is read, others are refused, other beginnings are no log") {
  std::array<uint8_t, log_session_offset> header;
  encode_log_header(80, header);
  header[4] = 1;
  CHECK(decode_log_header(header).kind == LogHeaderKind::valid);
  CHECK(decode_log_header(header).region_count == 80);
  for (const uint8_t version : {0, 3, 255}) {
    header[4] = version;
    CHECK(decode_log_header(header).kind == LogHeaderKind::unsupported);
    CHECK(decode_log_header(header).version == version);
    CHECK(decode_log_header(header).region_count == 0);
  }
  header[4] = 2;
  header[15] = 0x80;
  CHECK(decode_log_header(header).kind == LogHeaderKind::none);
  header[15] = 0;
  for (size_t byte = 0; byte < 4; byte++) {
    auto foreign = header;
    foreign[byte] ^= 1;
    CHECK(decode_log_header(foreign).kind == LogHeaderKind::none);
  }
  CHECK(decode_log_header(std::span(header).first(15)).kind == LogHeaderKind::none);
  CHECK(decode_log_header({}).kind == LogHeaderKind::none);
  CHECK(decode_log_header(std::vector<uint8_t>(512)).kind == LogHeaderKind::none);
}

TEST_CASE("log format: the session record's bytes") {
  const Record record = encoded(example());
  const auto text = [&](size_t at, size_t length) {
    return std::string(reinterpret_cast<const char*>(record.data()) + at, length);
  };
  CHECK(text(0, 8) == "LSSESS01");
  CHECK(load_le<uint64_t>(record, 8) == 0x0002030405060708);
  CHECK(record[8] == 8);
  CHECK(load_le<uint64_t>(record, 16) == 3);
  CHECK(load_le<uint32_t>(record, 24) == 1);
  CHECK(load_le<uint32_t>(record, 28) == 2048);
  CHECK(text(32, 21) == std::string("LVM-0123456789abcdef\0", 21));
  CHECK(text(160, 37) == std::string("5a2f1c7e-0000-4000-8000-00000000cafe\0", 37));
  CHECK(text(224, 6) == std::string("alpha\0", 6));
  CHECK(load_le<uint32_t>(record, 508) == crc32c_slow(std::span(record).first(508)));
  CHECK(decode_log_session(record) == example());
}

TEST_CASE("log format: texts of every length come back") {
  for (const size_t length : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{127}, size_t{128}}) {
    LogSession session = example();
    session.closed = false;
    session.uuid = std::string(length, 'u');
    session.node_name = std::string(length, 'n');
    session.boot_id = std::string(std::min<size_t>(length, 64), 'b');
    CHECK(decode_log_session(encoded(session)) == session);
  }
}

TEST_CASE("log format: what does not fit is not encoded") {
  Record record;
  const auto refused = [&](auto change) {
    LogSession session = example();
    change(session);
    return !encode_log_session(session, record);
  };
  CHECK(refused([](LogSession& session) { session.uuid = std::string(129, 'u'); }));
  CHECK(refused([](LogSession& session) { session.boot_id = std::string(65, 'b'); }));
  CHECK(refused([](LogSession& session) { session.node_name = std::string(129, 'n'); }));
  CHECK(refused([](LogSession& session) { session.node_name = std::string("a\0b", 3); }));
  CHECK(refused([](LogSession& session) { session.writer_epoch = safe_integer_max + 1; }));
  CHECK(refused([](LogSession& session) { session.resume_count = safe_integer_max + 1; }));
}

TEST_CASE("log format: absent, foreign and torn session records are no information") {
  CHECK_FALSE(decode_log_session({}));
  CHECK_FALSE(decode_log_session(Record{}));
  const Record whole = encoded(example());
  CHECK_FALSE(decode_log_session(std::span(whole).first(511)));
  // Any one flipped bit, and any two halves of two records.
  for (size_t bit = 0; bit < whole.size() * 8; bit++) {
    Record torn = whole;
    torn[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    if (decode_log_session(torn)) FAIL("bit " << bit);
  }
  LogSession next = example();
  next.writer_epoch++;
  next.node_name = "beta";
  const Record other = encoded(next);
  for (const size_t cut : {size_t{12}, size_t{100}, size_t{227}, size_t{300}, size_t{509}}) {
    Record torn = whole;
    std::copy(other.begin() + static_cast<ptrdiff_t>(cut), other.end(),
              torn.begin() + static_cast<ptrdiff_t>(cut));
    CHECK_FALSE(decode_log_session(torn));
  }
}

TEST_CASE("log format: a right checksum over what encoding never writes is foreign") {
  const Record whole = encoded(example());
  const auto accepted = [&](auto change) {
    Record record = whole;
    change(record);
    seal(record);
    return decode_log_session(record).has_value();
  };
  CHECK(accepted([](Record&) {}));
  CHECK_FALSE(accepted([](Record& record) { record[7] = '2'; }));
  CHECK_FALSE(accepted([](Record& record) { record[24] = 2; }));
  CHECK_FALSE(accepted([](Record& record) { record[15] = 1; }));
  CHECK_FALSE(accepted([](Record& record) { record[23] = 1; }));
  CHECK_FALSE(accepted([](Record& record) { record[32 + 40] = 'x'; }));
  CHECK_FALSE(accepted([](Record& record) { record[400] = 1; }));
}

TEST_CASE("log format: the area's end") {
  CHECK(log_area_bytes(1, 512) == 1536);
  CHECK(log_area_bytes(512 * 8, 512) == 1536);
  CHECK(log_area_bytes(512 * 8 + 1, 512) == 2048);
  CHECK(log_area_bytes(1, 4096) == 4096);
  CHECK(log_area_bytes(24576, 512) == 4096);
  CHECK(log_area_bytes(24577, 512) == 4608);
  CHECK(log_area_bytes(24577, 4096) == 8192);
  CHECK(log_area_bytes(uint64_t{1} << 24, 512) == 1024 + (1 << 21));
  CHECK(log_area_bytes(region_count_max, 4096) == log_area_bytes_max);
}
