#include "core/region_map.h"

#include <algorithm>

namespace lockstep {
namespace {

/// The region that a checked number names. The comparison also keeps NaN out of the conversion.
uint64_t region_of(double number, uint64_t region_count) noexcept {
  LOCKSTEP_ASSERT(number >= 0 && number < static_cast<double>(region_count));
  return static_cast<uint64_t>(number);
}

/// How far ahead of the region at work a batch has its words fetched: random regions of a large map lie in
/// memory that no cache expects.
constexpr size_t fetch_ahead = 16;

void fetch_word(const Bitmap& bits, std::span<const double> regions, size_t index) noexcept {
  if (index < regions.size()) bits.prefetch(region_of(regions[index], bits.size()));
}

uint64_t assign_all(Bitmap& bits, std::span<const double> regions, bool value) noexcept {
  uint64_t changed = 0;
  for (size_t index = 0; index < regions.size(); index++) {
    fetch_word(bits, regions, index + fetch_ahead);
    changed += bits.assign(region_of(regions[index], bits.size()), value) ? 1 : 0;
  }
  return changed;
}

uint64_t assign_clean(Bitmap& clean, ChangedBlocks& blocks, std::span<const double> regions,
                      bool value) noexcept {
  uint64_t changed = 0;
  for (size_t index = 0; index < regions.size(); index++) {
    fetch_word(clean, regions, index + fetch_ahead);
    const uint64_t region = region_of(regions[index], clean.size());
    if (!clean.assign(region, value)) continue;
    blocks.set_region(region);
    changed++;
  }
  return changed;
}

}  // namespace

RegionMap::RegionMap(const RegionMapMemory& memory, uint64_t region_count)
    : held_(memory.held, region_count),
      clean_(memory.clean, region_count),
      sync_(memory.sync, region_count),
      changed_(region_count) {}

bool RegionMap::all_held(std::span<const double> regions) const noexcept {
  return std::all_of(regions.begin(), regions.end(),
                     [this](double number) { return held_.test(region_of(number, region_count())); });
}

uint64_t RegionMap::hold(std::span<const double> regions) noexcept {
  return assign_all(held_, regions, true);
}

uint64_t RegionMap::unhold(std::span<const double> regions) noexcept {
  return assign_all(held_, regions, false);
}

uint64_t RegionMap::mark_dirty(std::span<const double> regions) noexcept {
  return assign_clean(clean_, changed_, regions, false);
}

uint64_t RegionMap::mark_clean(std::span<const double> regions) noexcept {
  return assign_clean(clean_, changed_, regions, true);
}

void RegionMap::fill_clean(uint64_t from, uint64_t to, bool value) noexcept {
  clean_.fill(from, to, value);
  changed_.set_regions(from, to);
}

void RegionMap::import_bits(bool sync, uint64_t first_byte, std::span<const uint8_t> bytes) noexcept {
  const uint64_t from = std::min(first_byte * 8, region_count());
  const uint64_t to = std::min(from + bytes.size() * 8, region_count());
  (sync ? sync_ : clean_).write_bytes(first_byte, bytes, region_count());
  if (!sync && from < to) changed_.set_regions(from, to);
}

void RegionMap::fill_in_sync(uint64_t from, uint64_t to, bool value) noexcept { sync_.fill(from, to, value); }

}  // namespace lockstep
