// Marks that outlive the kernel's CLEAR for a while (R5): a bounded set of regions in the order of their last
// use, so that the oldest can be dropped, by time or to make room. What a drop means is the mirror core's.
//
// Entries are a doubly linked list in one array, found through an open-addressed table of entry numbers.
// Memory grows by doubling up to `capacity`: 32 bytes an entry.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/limits.h"

namespace lockstep {

class StickyMarks {
 public:
  static constexpr uint64_t npos = ~uint64_t{0};

  /// Holds at most `capacity` regions (0 .. sticky_capacity_max).
  explicit StickyMarks(uint64_t capacity);

  uint64_t size() const noexcept { return size_; }
  uint64_t capacity() const noexcept { return capacity_; }

  /// Adds the region, or renews its time. Returns the oldest region, dropped to make room, or npos. With a
  /// capacity of 0 that is the region itself. A time that goes back counts as the latest one seen.
  uint64_t add(uint64_t region, double now_ms);
  bool remove(uint64_t region) noexcept;
  bool has(uint64_t region) const noexcept;
  /// Moves regions last used at or before `until_ms` into `out`, oldest first; returns how many.
  uint64_t expire(double until_ms, std::span<double> out) noexcept;
  /// Time of the oldest entry, or -1 when there is none.
  double oldest_ms() const noexcept;

 private:
  static constexpr uint32_t none = 0xFFFFFFFF;
  struct Entry {
    double used_ms;
    uint32_t region;
    uint32_t older;
    uint32_t newer;
  };

  uint64_t home(uint32_t region) const noexcept;
  uint64_t find_slot(uint32_t region) const noexcept;
  void insert_slot(uint32_t entry) noexcept;
  void erase_slot(uint64_t slot) noexcept;
  void grow();
  void link_newest(uint32_t entry) noexcept;
  void unlink(uint32_t entry) noexcept;
  void drop(uint32_t entry, uint64_t slot) noexcept;

  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;
  uint32_t free_ = none;
  uint32_t oldest_ = none;
  uint32_t newest_ = none;
  uint64_t size_ = 0;
  uint64_t capacity_;
};

}  // namespace lockstep
