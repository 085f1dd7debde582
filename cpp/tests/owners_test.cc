// Owners against a set of pairs, up to and past the bound.
#include "core/owners.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/support.h"

using namespace lockstep;
using lockstep::test::Random;

namespace {

using Pair = std::pair<uint32_t, uint64_t>;

std::set<uint64_t> listed(const Owners& owners, uint32_t node, size_t room) {
  std::set<uint64_t> regions;
  std::vector<double> out(room);
  uint64_t cursor = 0;
  while (cursor != Owners::npos) {
    const auto [written, next] = owners.list(node, cursor, out);
    for (uint64_t index = 0; index < written; index++) {
      REQUIRE(regions.insert(static_cast<uint64_t>(out[index])).second);
    }
    cursor = next;
  }
  return regions;
}

void compare(const Owners& owners, const std::set<Pair>& model, uint64_t regions, Random& random) {
  REQUIRE(owners.size() == model.size());
  for (int look = 0; look < 10; look++) {
    const auto node = static_cast<uint32_t>(random.below(5));
    const uint64_t region = random.below(regions);
    uint64_t count = 0;
    for (uint32_t each = 0; each < 5; each++) count += model.count({each, region});
    REQUIRE(owners.has(node, region) == (model.count({node, region}) != 0));
    REQUIRE(owners.owner_count(region) == count);
    REQUIRE(owners.owned_by_other(node, region) == (count - model.count({node, region}) != 0));
  }
}

}  // namespace

TEST_CASE("owners: random operations equal the model; a refused batch adds nothing") {
  for (const uint64_t capacity : {uint64_t{1}, uint64_t{50}, uint64_t{1000}, uint64_t{1} << 20}) {
    CAPTURE(capacity);
    Random random(capacity);
    Owners owners(capacity);
    std::set<Pair> model;
    uint64_t refused = 0;
    // Few regions make shared ownership, regions near the top make the widest numbers.
    const uint64_t regions = capacity < 100 ? 60 : 2000;
    for (int round = 0; round < 3000; round++) {
      const auto node = static_cast<uint32_t>(random.below(5));
      const auto batch = test::random_regions(random, regions, random.below(30));
      if (random.chance(200)) {
        const uint64_t gone = static_cast<uint64_t>(
            std::count_if(model.begin(), model.end(), [&](const Pair& pair) { return pair.first == node; }));
        REQUIRE(owners.remove_node(node) == gone);
        std::erase_if(model, [&](const Pair& pair) { return pair.first == node; });
      } else if (random.chance(3)) {
        uint64_t gone = 0;
        for (const double region : batch) gone += model.erase({node, static_cast<uint64_t>(region)});
        REQUIRE(owners.remove(node, batch) == gone);
      } else {
        std::set<Pair> grown = model;
        for (const double region : batch) grown.insert({node, static_cast<uint64_t>(region)});
        const bool fits = grown.size() <= capacity;
        REQUIRE(owners.add(node, batch) == fits);
        if (fits) model = grown;
        refused += fits ? 0 : 1;
      }
      compare(owners, model, regions, random);
      if (random.chance(100)) {
        std::set<uint64_t> expected;
        for (const Pair& pair : model) {
          if (pair.first == node) expected.insert(pair.second);
        }
        REQUIRE(listed(owners, node, 1 + random.below(50)) == expected);
      }
    }
    CHECK((refused > 0) == (capacity <= 1000));
    owners.clear();
    CHECK(owners.size() == 0);
    CHECK(owners.memory_bytes() == 0);
  }
}

TEST_CASE("owners: full to the last pair, within 32 bytes a pair") {
  const uint64_t capacity = 100000;
  Owners owners(capacity);
  for (uint64_t region = 0; region < capacity; region++) {
    const std::vector<double> one{static_cast<double>(region_count_max - 1 - region)};
    REQUIRE(owners.add(node_max, one));
    if (owners.size() > 64) REQUIRE(owners.memory_bytes() <= owners.size() * 32);
  }
  CHECK_FALSE(owners.add(node_max, std::vector<double>{0}));
  CHECK(owners.add(node_max, std::vector<double>{static_cast<double>(region_count_max - 1)}));
  CHECK_FALSE(owners.add(1, std::vector<double>{static_cast<double>(region_count_max - 1)}));
  CHECK(owners.size() == capacity);
  CHECK(owners.remove(node_max, std::vector<double>{static_cast<double>(region_count_max - 1)}) == 1);
  CHECK(owners.add(1, std::vector<double>{7, 7, 7}));
  CHECK(owners.size() == capacity);
  CHECK(owners.remove_node(node_max) == capacity - 1);
  CHECK(owners.size() == 1);
  CHECK(listed(owners, 1, 3) == std::set<uint64_t>{7});
}

TEST_CASE("owners: an empty table answers") {
  Owners owners(10);
  CHECK_FALSE(owners.has(1, 1));
  CHECK(owners.owner_count(1) == 0);
  CHECK_FALSE(owners.owned_by_other(1, 1));
  CHECK(owners.remove(1, std::vector<double>{1}) == 0);
  CHECK(owners.remove_node(1) == 0);
  CHECK(listed(owners, 1, 1).empty());
}
