// The three bits of every region of one log, clean, sync and held, over memory that is given (the state file,
// R2), and which blocks of the log area their changes touch. What the bits mean and when they may change is
// the mirror core's; ts/regions/region-map.ts is the interface that this class is behind.
//
// Batches come as doubles, JavaScript's numbers. What comes from outside is checked before; a region outside
// the map is a fault of the program and ends it.
#pragma once

#include <cstdint>
#include <span>

#include "core/bitmap.h"
#include "core/changed_blocks.h"

namespace lockstep {

struct RegionMapMemory {
  BitmapMemory held;
  BitmapMemory clean;
  BitmapMemory sync;
};

class RegionMap {
 public:
  static constexpr uint64_t npos = Bitmap::npos;

  /// Attaches to memory as it is; zeroed memory is a map in which every bit is 0. Counts are made from the
  /// bits.
  RegionMap(const RegionMapMemory& memory, uint64_t region_count);

  uint64_t region_count() const noexcept { return clean_.size(); }
  uint64_t clean_count() const noexcept { return clean_.count(); }
  uint64_t sync_count() const noexcept { return sync_.count(); }
  uint64_t held_count() const noexcept { return held_.count(); }

  bool is_clean(uint64_t region) const noexcept { return clean_.test(region); }
  bool is_in_sync(uint64_t region) const noexcept { return sync_.test(region); }
  bool is_held(uint64_t region) const noexcept { return held_.test(region); }
  bool all_held(std::span<const double> regions) const noexcept;

  /// Sets `held`; returns how many were not held before.
  uint64_t hold(std::span<const double> regions) noexcept;
  /// Clears `held`; returns how many were held before.
  uint64_t unhold(std::span<const double> regions) noexcept;
  /// Clears `clean`; returns how many were clean before. Notes the changed blocks.
  uint64_t mark_dirty(std::span<const double> regions) noexcept;
  /// Sets `clean`; returns how many were dirty before. Notes the changed blocks.
  uint64_t mark_clean(std::span<const double> regions) noexcept;
  /// Sets or clears `sync`; true when that changed something.
  bool set_in_sync(uint64_t region, bool in_sync) noexcept { return sync_.assign(region, in_sync); }

  /// First region at or after `from` (any) with the bit in question, or npos. None of them wraps.
  uint64_t next_out_of_sync(uint64_t from) const noexcept { return sync_.find_next_zero(from); }
  uint64_t next_dirty(uint64_t from) const noexcept { return clean_.find_next_zero(from); }
  uint64_t next_held(uint64_t from) const noexcept { return held_.find_next_one(from); }

  /// Sets the clean bits of [from, to); all their blocks count as changed. A fill of the whole map touches no
  /// words, so to give a large growth one value, fill the whole map first and import the old bits after.
  void fill_clean(uint64_t from, uint64_t to, bool value) noexcept;
  void fill_in_sync(uint64_t from, uint64_t to, bool value) noexcept;
  /// sync := clean, for every region.
  void copy_clean_to_in_sync() noexcept { sync_.copy_from(clean_); }
  /// Takes the sync or the clean bits of the regions that the bytes cover (bitmap.h); `first_byte` is a
  /// multiple of 8. Blocks of clean bits count as changed.
  void import_bits(bool sync, uint64_t first_byte, std::span<const uint8_t> bytes) noexcept;
  /// held := none.
  void unhold_all() noexcept { held_.fill_all(false); }

  const Bitmap& clean() const noexcept { return clean_; }
  const Bitmap& sync() const noexcept { return sync_; }
  const Bitmap& held() const noexcept { return held_; }
  /// For the log image, which takes clean bits from the device without a change of blocks.
  Bitmap& clean_for_import() noexcept { return clean_; }
  ChangedBlocks& changed() noexcept { return changed_; }
  const ChangedBlocks& changed() const noexcept { return changed_; }

 private:
  Bitmap held_;
  Bitmap clean_;
  Bitmap sync_;
  ChangedBlocks changed_;
};

}  // namespace lockstep
