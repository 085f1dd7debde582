// Which 4 KiB blocks of the log area differ from what the log device is known to hold. Not in the state file:
// after a restart nothing is known of the device, so everything is planned again.
//
// The clean bit of region r is in byte 1024 + r/8 of the area; header and session record are in block 0.
#pragma once

#include <cstdint>
#include <vector>

#include "core/limits.h"

namespace lockstep {

class ChangedBlocks {
 public:
  static constexpr uint64_t npos = ~uint64_t{0};

  /// Bytes of header, session record and clean bits, before rounding to the device's logical block size.
  static constexpr uint64_t content_bytes(uint64_t region_count) {
    return log_bits_offset + (region_count + 7) / 8;
  }
  static constexpr uint64_t block_count(uint64_t region_count) {
    return (content_bytes(region_count) + block_bytes - 1) / block_bytes;
  }
  static constexpr uint64_t block_of_region(uint64_t region) {
    return (log_bits_offset + region / 8) / block_bytes;
  }

  /// Every block counts as changed at first.
  explicit ChangedBlocks(uint64_t region_count);

  /// Number of blocks of the area.
  uint64_t size() const noexcept { return size_; }
  /// Number of changed blocks.
  uint64_t count() const noexcept { return count_; }
  bool test(uint64_t block) const noexcept { return ((words_[block / 64] >> (block % 64)) & 1) != 0; }

  void set(uint64_t block) noexcept {
    uint64_t& word = words_[block / 64];
    const uint64_t mask = uint64_t{1} << (block % 64);
    count_ += (word & mask) == 0 ? 1 : 0;
    word |= mask;
  }
  void set_region(uint64_t region) noexcept { set(block_of_region(region)); }
  void clear(uint64_t block) noexcept;
  /// The blocks of the regions [from, to).
  void set_regions(uint64_t from, uint64_t to) noexcept;
  void set_all() noexcept;
  void clear_all() noexcept;
  /// Adds every block that is set in a set of the same size.
  void add(const ChangedBlocks& other) noexcept;
  void swap(ChangedBlocks& other) noexcept;

  /// First changed block at or after `from`, or npos.
  [[nodiscard]] uint64_t find_next(uint64_t from) const noexcept;

 private:
  void set_range(uint64_t from, uint64_t to) noexcept;

  uint64_t size_;
  uint64_t count_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace lockstep
