#include "core/sticky_marks.h"

#include <algorithm>
#include <bit>

#include "core/assert.h"

namespace lockstep {
namespace {

constexpr uint64_t entry_count_min = 64;

}  // namespace

StickyMarks::StickyMarks(uint64_t capacity) : capacity_(capacity) {
  LOCKSTEP_ASSERT(capacity <= sticky_capacity_max);
}

uint64_t StickyMarks::home(uint32_t region) const noexcept {
  const uint64_t hash = region * uint64_t{0x9E3779B97F4A7C15};
  return hash >> (64 - std::countr_zero(slots_.size()));
}

/// The region's slot, or the empty slot that ends its probe run. Needs a table.
uint64_t StickyMarks::find_slot(uint32_t region) const noexcept {
  uint64_t at = home(region);
  while (slots_[at] != none && entries_[slots_[at]].region != region) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void StickyMarks::insert_slot(uint32_t entry) noexcept { slots_[find_slot(entries_[entry].region)] = entry; }

void StickyMarks::erase_slot(uint64_t slot) noexcept {
  const uint64_t mask = slots_.size() - 1;
  uint64_t hole = slot;
  for (uint64_t at = (slot + 1) & mask; slots_[at] != none; at = (at + 1) & mask) {
    const uint64_t from_home = (at - home(entries_[slots_[at]].region)) & mask;
    if (from_home < ((at - hole) & mask)) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = none;
}

/// Doubles the entries (never above the capacity) and gives the table twice as many slots, so it is at most
/// half full.
void StickyMarks::grow() {
  const uint64_t from = entries_.size();
  const uint64_t count = std::min(std::max(from * 2, entry_count_min), capacity_);
  std::vector<uint32_t> slots(std::bit_ceil(count) * 2, none);
  entries_.resize(count);
  slots_.swap(slots);
  for (uint32_t entry = oldest_; entry != none; entry = entries_[entry].newer) insert_slot(entry);
  for (uint64_t entry = count; entry-- > from;) {
    entries_[entry].newer = free_;
    free_ = static_cast<uint32_t>(entry);
  }
}

void StickyMarks::link_newest(uint32_t entry) noexcept {
  entries_[entry].older = newest_;
  entries_[entry].newer = none;
  (newest_ == none ? oldest_ : entries_[newest_].newer) = entry;
  newest_ = entry;
}

void StickyMarks::unlink(uint32_t entry) noexcept {
  const Entry& gone = entries_[entry];
  (gone.older == none ? oldest_ : entries_[gone.older].newer) = gone.newer;
  (gone.newer == none ? newest_ : entries_[gone.newer].older) = gone.older;
}

void StickyMarks::drop(uint32_t entry, uint64_t slot) noexcept {
  erase_slot(slot);
  unlink(entry);
  entries_[entry].newer = free_;
  free_ = entry;
  size_--;
}

uint64_t StickyMarks::add(uint64_t region, double now_ms) {
  LOCKSTEP_ASSERT(region < region_count_max);
  if (capacity_ == 0) return region;
  const auto key = static_cast<uint32_t>(region);
  if (newest_ != none) now_ms = std::max(now_ms, entries_[newest_].used_ms);
  if (has(region)) {
    const uint32_t entry = slots_[find_slot(key)];
    unlink(entry);
    link_newest(entry);
    entries_[entry].used_ms = now_ms;
    return npos;
  }
  uint64_t dropped = npos;
  if (size_ == capacity_) {
    dropped = entries_[oldest_].region;
    drop(oldest_, find_slot(entries_[oldest_].region));
  }
  if (free_ == none) grow();
  const uint32_t entry = free_;
  free_ = entries_[entry].newer;
  entries_[entry].region = key;
  entries_[entry].used_ms = now_ms;
  link_newest(entry);
  insert_slot(entry);
  size_++;
  return dropped;
}

bool StickyMarks::remove(uint64_t region) noexcept {
  if (!has(region)) return false;
  const uint64_t slot = find_slot(static_cast<uint32_t>(region));
  drop(slots_[slot], slot);
  return true;
}

bool StickyMarks::has(uint64_t region) const noexcept {
  if (size_ == 0 || region >= region_count_max) return false;
  return slots_[find_slot(static_cast<uint32_t>(region))] != none;
}

uint64_t StickyMarks::expire(double until_ms, std::span<double> out) noexcept {
  uint64_t moved = 0;
  while (moved < out.size() && oldest_ != none && entries_[oldest_].used_ms <= until_ms) {
    const uint32_t entry = oldest_;
    out[moved++] = entries_[entry].region;
    drop(entry, find_slot(entries_[entry].region));
  }
  return moved;
}

double StickyMarks::oldest_ms() const noexcept { return oldest_ == none ? -1 : entries_[oldest_].used_ms; }

}  // namespace lockstep
