// The region map's batches, and which blocks of the log area its changes touch.
#include "core/region_map.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/support.h"

using namespace lockstep;
using lockstep::test::OwnMap;
using lockstep::test::Random;

namespace {

struct Model {
  explicit Model(uint64_t regions) : clean(regions), sync(regions), held(regions) {}
  std::vector<bool> clean, sync, held;
};

uint64_t assign(std::vector<bool>& bits, const std::vector<double>& regions, bool value) {
  uint64_t changed = 0;
  for (const double region : regions) {
    auto bit = bits[static_cast<size_t>(region)];
    changed += bit != value ? 1 : 0;
    bit = value;
  }
  return changed;
}

uint64_t ones(const std::vector<bool>& bits) {
  return static_cast<uint64_t>(std::count(bits.begin(), bits.end(), true));
}

void change(RegionMap& map, Model& model, Random& random) {
  const uint64_t regions = map.region_count();
  const auto batch = test::random_regions(random, regions, random.below(40));
  const auto [from, to] = random.range(regions);
  const bool value = random.chance(2);
  switch (random.below(10)) {
    case 0:
    case 1:
      REQUIRE(map.hold(batch) == assign(model.held, batch, true));
      REQUIRE(map.all_held(batch));
      break;
    case 2:
      REQUIRE(map.unhold(batch) == assign(model.held, batch, false));
      break;
    case 3:
    case 4:
      REQUIRE(map.mark_dirty(batch) == assign(model.clean, batch, false));
      break;
    case 5:
    case 6:
      REQUIRE(map.mark_clean(batch) == assign(model.clean, batch, true));
      break;
    case 7:
      for (const double region : batch) map.set_in_sync(static_cast<uint64_t>(region), value);
      assign(model.sync, batch, value);
      break;
    case 8:
      map.fill_clean(from, to, value);
      std::fill(model.clean.begin() + static_cast<ptrdiff_t>(from),
                model.clean.begin() + static_cast<ptrdiff_t>(to), value);
      break;
    default:
      if (value) {
        map.copy_clean_to_in_sync();
        model.sync = model.clean;
      } else {
        map.unhold_all();
        model.held.assign(regions, false);
      }
  }
}

}  // namespace

TEST_CASE("region map: random batches equal the model; a changed clean bit changes its block") {
  for (const uint64_t regions : {uint64_t{1}, uint64_t{9}, uint64_t{24577}, uint64_t{3} << 16}) {
    CAPTURE(regions);
    Random random(regions);
    OwnMap own(regions);
    Model model(regions);
    for (int round = 0; round < 250; round++) {
      const Model before = model;
      own.map.changed().clear_all();
      change(own.map, model, random);
      REQUIRE(own.map.clean_count() == ones(model.clean));
      REQUIRE(own.map.sync_count() == ones(model.sync));
      REQUIRE(own.map.held_count() == ones(model.held));
      uint64_t unnoticed = 0;
      for (uint64_t region = 0; region < regions; region++) {
        if (model.clean[region] == before.clean[region]) continue;
        unnoticed += own.map.changed().test((1024 + region / 8) / 4096) ? 0 : 1;
      }
      REQUIRE(unnoticed == 0);
    }
    // Everything is in the memory: another map over it says the same.
    const RegionMap again(map_memory(own.memory.bytes(), own.layout), regions);
    for (uint64_t region = 0; region < regions; region++) {
      if (again.is_clean(region) != model.clean[region] || again.is_in_sync(region) != model.sync[region] ||
          again.is_held(region) != model.held[region]) {
        FAIL("region " << region);
      }
    }
  }
}

TEST_CASE("region map: no block changes when no clean bit does") {
  OwnMap own(100000);
  own.map.changed().clear_all();
  const std::vector<double> regions{1, 99999};
  own.map.hold(regions);
  own.map.set_in_sync(5, true);
  own.map.mark_dirty(regions);
  CHECK(own.map.changed().count() == 0);
  own.map.mark_clean(regions);
  CHECK(own.map.changed().count() == 2);
  CHECK(own.map.changed().test(0));
  CHECK(own.map.changed().test((1024 + 99999 / 8) / 4096));
}

TEST_CASE("changed blocks: against a set") {
  Random random(6);
  for (const uint64_t regions : {uint64_t{1}, uint64_t{24576}, uint64_t{24577}, uint64_t{1} << 24}) {
    ChangedBlocks blocks(regions);
    REQUIRE(blocks.count() == blocks.size());
    blocks.clear_all();
    std::set<uint64_t> model;
    for (int round = 0; round < 300; round++) {
      const auto [from, to] = random.range(regions);
      const uint64_t region = random.below(regions);
      switch (random.below(6)) {
        case 0:
          blocks.set_regions(from, to);
          if (from < to) {
            for (uint64_t block = ChangedBlocks::block_of_region(from);
                 block <= ChangedBlocks::block_of_region(to - 1); block++) {
              model.insert(block);
            }
          }
          break;
        case 1:
          blocks.clear_all();
          model.clear();
          break;
        case 2:
          blocks.clear(ChangedBlocks::block_of_region(region));
          model.erase(ChangedBlocks::block_of_region(region));
          break;
        default:
          blocks.set_region(region);
          model.insert(ChangedBlocks::block_of_region(region));
      }
      REQUIRE(blocks.count() == model.size());
      const uint64_t at = random.below(blocks.size() + 2);
      const auto next = model.lower_bound(at);
      REQUIRE(blocks.find_next(at) == (next == model.end() ? ChangedBlocks::npos : *next));
    }
  }
}
