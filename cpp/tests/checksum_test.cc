// CRC-32C against published values and its own definition.
#include "core/checksum.h"

#include <doctest/doctest.h>

#include <string_view>

#include "tests/support.h"

using namespace lockstep;

namespace {

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("checksum: known values (RFC 3720, appendix B.4)") {
  CHECK(crc32c(bytes_of("")) == 0);
  CHECK(crc32c(bytes_of("123456789")) == 0xE3069283);
  CHECK(crc32c(std::vector<uint8_t>(32, 0x00)) == 0x8A9136AA);
  CHECK(crc32c(std::vector<uint8_t>(32, 0xFF)) == 0x62A8AB43);
  std::vector<uint8_t> rising(32);
  for (size_t index = 0; index < rising.size(); index++) rising[index] = static_cast<uint8_t>(index);
  CHECK(crc32c(rising) == 0x46DD794E);
}

TEST_CASE("checksum: fast form equals the definition, in one piece or two") {
  test::Random random(3);
  for (int round = 0; round < 300; round++) {
    const auto bytes = test::random_bytes(random, random.below(200));
    const uint32_t expected = crc32c_slow(bytes);
    CHECK(crc32c(bytes) == expected);
    const auto all = std::span<const uint8_t>(bytes);
    const size_t cut = random.below(bytes.size() + 1);
    CHECK(crc32c(all.subspan(cut), crc32c(all.first(cut))) == expected);
  }
}
