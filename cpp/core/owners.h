// Which node owns a mark of which region: a bounded set of (region, node) pairs.
//
// An open-addressed table of 8-byte slots, hashed by region alone, so that all owners of a region lie in one
// probe run and questions about a region need no second structure. It doubles while it is more than three
// quarters full, up to the size that `capacity` pairs need: at most 22 bytes a pair, 32 while it grows.
// Deletion shifts back, so there are no tombstones and a table that was once full is not slow for ever.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/limits.h"

namespace lockstep {

class Owners {
 public:
  static constexpr uint64_t npos = ~uint64_t{0};

  /// Holds at most `capacity` pairs (1 .. owners_capacity_max). Takes no memory before the first pair.
  explicit Owners(uint64_t capacity) noexcept;

  uint64_t size() const noexcept { return size_; }
  uint64_t capacity() const noexcept { return capacity_; }
  /// Bytes of the table now.
  uint64_t memory_bytes() const noexcept { return slot_count_ * sizeof(Slot); }

  /// Adds a pair for each region; pairs that are there count as added. False, and nothing added, when they
  /// would not fit (or memory for them is refused). Regions are integers below 2^32; `node` is at most
  /// node_max.
  [[nodiscard]] bool add(uint32_t node, std::span<const double> regions) noexcept;
  /// Removes pairs; returns how many were there.
  uint64_t remove(uint32_t node, std::span<const double> regions) noexcept;

  bool has(uint32_t node, uint64_t region) const noexcept;
  /// Number of nodes that own the region.
  uint64_t owner_count(uint64_t region) const noexcept;
  /// True when a node other than `node` owns the region.
  bool owned_by_other(uint32_t node, uint64_t region) const noexcept;

  /// Removes every pair of `node`; returns how many there were.
  uint64_t remove_node(uint32_t node) noexcept;

  struct Listing {
    uint64_t written;
    /// Where to go on, or npos at the end.
    uint64_t next;
  };
  /// Writes regions of `node`, in no order, from `cursor` (0 first). A cursor is good until the table
  /// changes.
  Listing list(uint32_t node, uint64_t cursor, std::span<double> out) const noexcept;

  /// Writes the pairs of the regions in [from, to), in no order, to both spans, which are equally long.
  /// Returns how many there are; more than the spans are long: not all were written.
  uint64_t list_range(uint64_t from, uint64_t to, std::span<double> regions,
                      std::span<double> nodes) const noexcept;

  /// Removes everything and gives the memory back.
  void clear() noexcept;

 private:
  struct Slot {
    uint32_t region;
    uint32_t node;
  };
  static constexpr uint32_t no_node = node_max + 1;

  uint64_t home(uint32_t region) const noexcept;
  uint64_t find(uint32_t node, uint32_t region) const noexcept;
  bool reserve(uint64_t pairs) noexcept;
  uint64_t count_missing(uint32_t node, std::span<const double> regions) const noexcept;
  void erase(uint64_t slot) noexcept;

  std::unique_ptr<Slot[]> slots_;
  uint64_t slot_count_ = 0;
  uint64_t size_ = 0;
  uint64_t capacity_;
};

}  // namespace lockstep
