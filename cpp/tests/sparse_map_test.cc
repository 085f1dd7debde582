// A log of 2^32 regions of which few are marked stays under 100 MiB of resident memory, through fills, marks,
// scans, counts, a restart and a copy.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "tests/support.h"

using namespace lockstep;

namespace {

uint64_t resident_bytes() {
  std::ifstream status("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  status >> total >> resident;
  return resident * 4096;
}

}  // namespace

TEST_CASE("sparse map: 2^32 regions with 4096 marks stay under 100 MiB") {
  const uint64_t before = resident_bytes();
  const uint64_t regions = region_count_max;
  test::OwnMap own(regions);
  RegionMap& map = own.map;
  CHECK(map.clean_count() == 0);
  map.fill_clean(0, regions, true);
  map.fill_in_sync(0, regions, true);
  CHECK(map.clean_count() == regions);
  CHECK(map.next_dirty(0) == RegionMap::npos);

  test::Random random(5);
  const auto marks = test::random_regions(random, regions, 4096);
  const uint64_t held = map.hold(marks);
  CHECK(held > 4000);
  CHECK(map.mark_dirty(marks) == held);
  CHECK(map.clean_count() == regions - held);
  uint64_t found = 0;
  for (uint64_t at = map.next_dirty(0); at != RegionMap::npos; at = map.next_dirty(at + 1)) found++;
  CHECK(found == held);
  map.copy_clean_to_in_sync();
  CHECK(map.sync_count() == regions - held);
  const RegionMap again(map_memory(own.memory.bytes(), own.layout), regions);
  CHECK(again.held_count() == held);
  CHECK(again.sync_count() == regions - held);

  const uint64_t grown = resident_bytes() - before;
  MESSAGE("resident: " << (grown >> 20) << " MiB");
#if !defined(__SANITIZE_THREAD__)
  // Thread sanitizer's own shadow of the memory counts as resident.
  CHECK(grown < (uint64_t{100} << 20));
#endif
  CHECK(map.mark_clean(marks) == held);
  CHECK(map.next_dirty(0) == RegionMap::npos);
}
