// The two forms of CRC-32C: a table of 256 entries, and SSE4.2's instruction eight bytes at a time.
#include "core/checksum.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lockstep {
namespace {

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t entry = byte;
    for (int bit = 0; bit < 8; bit++) entry = (entry >> 1) ^ ((entry & 1) != 0 ? 0x82F63B78u : 0u);
    table[byte] = entry;
  }
  return table;
}
constexpr std::array<uint32_t, 256> table = make_table();

uint32_t by_table(std::span<const uint8_t> bytes, uint32_t seed) noexcept {
  uint32_t crc = ~seed;
  for (const uint8_t byte : bytes) crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF];
  return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t by_instruction(std::span<const uint8_t> bytes,
                                                          uint32_t seed) noexcept {
  uint64_t crc = ~seed;
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  for (; at < bytes.size(); at++) crc = _mm_crc32_u8(static_cast<uint32_t>(crc), bytes[at]);
  return ~static_cast<uint32_t>(crc);
}

bool has_instruction() noexcept {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") != 0;
}
const bool instruction_present = has_instruction();
#endif

}  // namespace

uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t seed) noexcept {
#if defined(__x86_64__)
  if (instruction_present) return by_instruction(bytes, seed);
#endif
  return by_table(bytes, seed);
}

}  // namespace lockstep
