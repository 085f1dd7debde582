// The sequence number of the newest request that a daemon has taken from the kernel, kept where the state
// records are: the next daemon asks the kernel to repeat what lies around it. One page, one word that
// changes.
//
// | offset | what                                                           |
// | ------ | -------------------------------------------------------------- |
// | 0      | magic "LSLASTRQ"                                               |
// | 8      | boot id, NUL-padded to 64 bytes                                |
// | 72     | CRC-32C of all of it                                           |
// | 80     | 0: no request yet; otherwise 2^32 + its sequence number        |
//
// It is a help and no truth: a record that cannot be read is made anew, and costs a wait of the kernel's 15
// s.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace lockstep {

class RequestRecord {
 public:
  static constexpr uint64_t bytes = 4096;

  /// Makes a record in `bytes` bytes of zeroed, 8-byte aligned memory. False when the boot id does not fit.
  [[nodiscard]] static bool create(std::span<uint8_t> memory, std::string_view boot_id) noexcept;
  /// True for a whole record of that boot.
  [[nodiscard]] static bool valid(std::span<const uint8_t> memory, std::string_view boot_id) noexcept;

  [[nodiscard]] static std::optional<uint32_t> last(std::span<const uint8_t> memory) noexcept;
  /// One aligned store.
  static void note(std::span<uint8_t> memory, uint32_t seq) noexcept;
};

}  // namespace lockstep
