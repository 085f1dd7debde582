#include "core/owners.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "core/assert.h"

namespace lockstep {
namespace {

constexpr uint64_t slot_count_min = 64;

uint32_t region_of(double number) noexcept {
  LOCKSTEP_ASSERT(number >= 0 && number < static_cast<double>(region_count_max));
  return static_cast<uint32_t>(number);
}

/// Pairs that a table of this many slots takes: three quarters, so that a probe always ends.
constexpr uint64_t pairs_max(uint64_t slots) { return slots / 4 * 3; }

}  // namespace

Owners::Owners(uint64_t capacity) noexcept : capacity_(capacity) {
  LOCKSTEP_ASSERT(capacity > 0 && capacity <= owners_capacity_max);
}

uint64_t Owners::home(uint32_t region) const noexcept {
  // Multiplicative hashing: neighbouring regions, the usual case, spread over the whole table.
  const uint64_t hash = region * uint64_t{0x9E3779B97F4A7C15};
  return hash >> (64 - std::countr_zero(slot_count_));
}

/// The pair's slot, or the empty slot that ends its probe run.
uint64_t Owners::find(uint32_t node, uint32_t region) const noexcept {
  uint64_t at = home(region);
  while (slots_[at].node != no_node && (slots_[at].node != node || slots_[at].region != region)) {
    at = (at + 1) & (slot_count_ - 1);
  }
  return at;
}

bool Owners::reserve(uint64_t pairs) noexcept {
  uint64_t count = std::max(slot_count_, slot_count_min);
  while (pairs_max(count) < pairs) count *= 2;
  if (count == slot_count_) return true;
  std::unique_ptr<Slot[]> grown(new (std::nothrow) Slot[count]);
  if (!grown) return false;
  std::fill_n(grown.get(), count, Slot{0, no_node});
  std::swap(slots_, grown);
  const uint64_t grown_from = std::exchange(slot_count_, count);
  for (uint64_t index = 0; index < grown_from; index++) {
    const Slot& slot = grown[index];
    if (slot.node != no_node) slots_[find(slot.node, slot.region)] = slot;
  }
  return true;
}

/// Distinct regions among `regions` that `node` does not own, or npos when memory to find out is refused.
uint64_t Owners::count_missing(uint32_t node, std::span<const double> regions) const noexcept {
  const std::unique_ptr<uint32_t[]> missing(new (std::nothrow) uint32_t[regions.size()]);
  if (!missing) return npos;
  uint32_t* end = missing.get();
  for (const double number : regions) {
    if (!has(node, region_of(number))) *end++ = region_of(number);
  }
  std::sort(missing.get(), end);
  return static_cast<uint64_t>(std::unique(missing.get(), end) - missing.get());
}

bool Owners::add(uint32_t node, std::span<const double> regions) noexcept {
  LOCKSTEP_ASSERT(node <= node_max);
  uint64_t wanted = size_ + regions.size();
  if (wanted > capacity_) {
    // Only near the bound is it worth knowing how many of them are new.
    const uint64_t missing = count_missing(node, regions);
    if (missing == npos || size_ + missing > capacity_) return false;
    wanted = size_ + missing;
  }
  if (!reserve(wanted)) return false;
  for (const double number : regions) {
    const uint32_t region = region_of(number);
    Slot& slot = slots_[find(node, region)];
    if (slot.node != no_node) continue;
    slot = Slot{region, node};
    size_++;
  }
  return true;
}

uint64_t Owners::remove(uint32_t node, std::span<const double> regions) noexcept {
  if (size_ == 0) return 0;
  uint64_t removed = 0;
  for (const double number : regions) {
    const uint64_t at = find(node, region_of(number));
    if (slots_[at].node == no_node) continue;
    erase(at);
    removed++;
  }
  return removed;
}

/// Empties the slot and moves later pairs of the probe run up into the hole, as far as their homes allow.
void Owners::erase(uint64_t slot) noexcept {
  const uint64_t mask = slot_count_ - 1;
  uint64_t hole = slot;
  for (uint64_t at = (slot + 1) & mask; slots_[at].node != no_node; at = (at + 1) & mask) {
    const uint64_t from_home = (at - home(slots_[at].region)) & mask;
    if (from_home < ((at - hole) & mask)) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole].node = no_node;
  size_--;
}

bool Owners::has(uint32_t node, uint64_t region) const noexcept {
  if (size_ == 0 || region >= region_count_max || node > node_max) return false;
  return slots_[find(node, static_cast<uint32_t>(region))].node != no_node;
}

uint64_t Owners::owner_count(uint64_t region) const noexcept {
  if (size_ == 0 || region >= region_count_max) return 0;
  uint64_t owners = 0;
  for (uint64_t at = home(static_cast<uint32_t>(region)); slots_[at].node != no_node;
       at = (at + 1) & (slot_count_ - 1)) {
    owners += slots_[at].region == region ? 1 : 0;
  }
  return owners;
}

bool Owners::owned_by_other(uint32_t node, uint64_t region) const noexcept {
  if (size_ == 0 || region >= region_count_max) return false;
  for (uint64_t at = home(static_cast<uint32_t>(region)); slots_[at].node != no_node;
       at = (at + 1) & (slot_count_ - 1)) {
    if (slots_[at].region == region && slots_[at].node != node) return true;
  }
  return false;
}

uint64_t Owners::remove_node(uint32_t node) noexcept {
  if (node > node_max) return 0;
  const uint64_t before = size_;
  // What an erase moves comes from later in the probe run into this slot or a later one, so one pass sees it
  // all; what it moves from the start of the table to its end has been seen and kept.
  for (uint64_t at = 0; at < slot_count_; at++) {
    while (slots_[at].node == node) erase(at);
  }
  return before - size_;
}

Owners::Listing Owners::list(uint32_t node, uint64_t cursor, std::span<double> out) const noexcept {
  uint64_t written = 0;
  for (uint64_t at = cursor; at < slot_count_; at++) {
    if (slots_[at].node != node || node > node_max) continue;
    if (written == out.size()) return {written, at};
    out[written++] = slots_[at].region;
  }
  return {written, npos};
}

uint64_t Owners::list_range(uint64_t from, uint64_t to, std::span<double> regions,
                            std::span<double> nodes) const noexcept {
  LOCKSTEP_ASSERT(regions.size() == nodes.size());
  uint64_t found = 0;
  for (uint64_t at = 0; at < slot_count_; at++) {
    const Slot& slot = slots_[at];
    if (slot.node == no_node || slot.region < from || slot.region >= to) continue;
    if (found < regions.size()) {
      regions[found] = slot.region;
      nodes[found] = slot.node;
    }
    found++;
  }
  return found;
}

void Owners::clear() noexcept {
  slots_.reset();
  slot_count_ = 0;
  size_ = 0;
}

}  // namespace lockstep
