// CRC-32C (Castagnoli), the checksum of every record of this project. By table at compile time, by the
// processor's instruction at run time where it has one; both give the same value. Bulk data may want
// something faster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lockstep {

/// CRC-32C of the bytes; pass the result of an earlier piece as `seed` to go on from there.
[[nodiscard]] uint32_t crc32c(std::span<const uint8_t> bytes, uint32_t seed = 0) noexcept;

/// The definition, bit by bit: what the fast forms are tested against, and usable at compile time.
[[nodiscard]] constexpr uint32_t crc32c_slow(std::span<const uint8_t> bytes, uint32_t seed = 0) noexcept {
  uint32_t crc = ~seed;
  for (const uint8_t byte : bytes) {
    uint32_t entry = (crc ^ byte) & 0xFF;
    for (int bit = 0; bit < 8; bit++) entry = (entry >> 1) ^ ((entry & 1) != 0 ? 0x82F63B78u : 0u);
    crc = (crc >> 8) ^ entry;
  }
  return ~crc;
}

}  // namespace lockstep
