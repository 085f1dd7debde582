// What the tests of the core share: seeded randomness, memory laid out as a state file, and a region map as
// simple as can be, to compare with.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/region_map.h"
#include "core/state_layout.h"

namespace lockstep::test {

/// splitmix64: every seed gives one sequence, on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t word = state_ += 0x9E3779B97F4A7C15;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB;
    return word ^ (word >> 31);
  }
  /// 0 .. limit - 1.
  uint64_t below(uint64_t limit) { return next() % limit; }
  bool chance(uint64_t one_in) { return below(one_in) == 0; }
  /// A range within [0, limit], empty and whole ones included.
  std::pair<uint64_t, uint64_t> range(uint64_t limit) {
    if (chance(8)) return {0, limit};
    const uint64_t first = below(limit + 1);
    const uint64_t second = below(limit + 1);
    return {std::min(first, second), std::max(first, second)};
  }

 private:
  uint64_t state_;
};

/// Lazily mapped zeroed memory.
class Mapping {
 public:
  explicit Mapping(uint64_t bytes) : bytes_(bytes) {
    void* at =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    LOCKSTEP_ASSERT(at != MAP_FAILED);
    data_ = static_cast<uint8_t*>(at);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { munmap(data_, bytes_); }

  std::span<uint8_t> bytes() const { return {data_, bytes_}; }

 private:
  uint8_t* data_;
  uint64_t bytes_;
};

/// A region map in memory of its own.
struct OwnMap {
  explicit OwnMap(uint64_t regions)
      : layout(StateLayout::of(regions)),
        memory(layout.total_bytes),
        map(map_memory(memory.bytes(), layout), regions) {}

  StateLayout layout;
  Mapping memory;
  RegionMap map;
};

/// Random regions as a batch; repeats may occur.
inline std::vector<double> random_regions(Random& random, uint64_t region_count, uint64_t count) {
  std::vector<double> regions(count);
  for (double& region : regions) region = static_cast<double>(random.below(region_count));
  return regions;
}

inline std::vector<uint8_t> random_bytes(Random& random, size_t count) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
  return bytes;
}

}  // namespace lockstep::test
