// Sticky marks against a list in order of use.
#include "core/sticky_marks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <list>

#include "tests/support.h"

using namespace lockstep;
using lockstep::test::Random;

namespace {

struct Model {
  struct Entry {
    uint64_t region;
    double used_ms;
  };
  std::list<Entry> entries;

  std::list<Entry>::iterator find(uint64_t region) {
    return std::find_if(entries.begin(), entries.end(),
                        [&](const Entry& entry) { return entry.region == region; });
  }
};

}  // namespace

TEST_CASE("sticky marks: random operations equal the model") {
  for (const uint64_t capacity : {uint64_t{1}, uint64_t{5}, uint64_t{200}, uint64_t{4096}}) {
    CAPTURE(capacity);
    Random random(capacity);
    StickyMarks marks(capacity);
    Model model;
    double now = 0;
    for (int round = 0; round < 6000; round++) {
      const uint64_t region = random.chance(10) ? region_count_max - 1 - random.below(5) : random.below(600);
      now += static_cast<double>(random.below(3));
      const auto at = model.find(region);
      const bool present = at != model.entries.end();
      REQUIRE(marks.has(region) == present);
      if (random.chance(5)) {
        REQUIRE(marks.remove(region) == present);
        if (present) model.entries.erase(at);
      } else if (random.chance(40)) {
        std::vector<double> out(random.below(20));
        const double until = now - static_cast<double>(random.below(50));
        const uint64_t moved = marks.expire(until, out);
        for (uint64_t index = 0; index < moved; index++) {
          REQUIRE(out[index] == static_cast<double>(model.entries.front().region));
          REQUIRE(model.entries.front().used_ms <= until);
          model.entries.pop_front();
        }
        REQUIRE((moved == out.size() || model.entries.empty() || model.entries.front().used_ms > until));
      } else {
        uint64_t dropped = StickyMarks::npos;
        if (present) {
          model.entries.erase(at);
        } else if (model.entries.size() == capacity) {
          dropped = model.entries.front().region;
          model.entries.pop_front();
        }
        model.entries.push_back({region, now});
        REQUIRE(marks.add(region, now) == dropped);
      }
      REQUIRE(marks.size() == model.entries.size());
      REQUIRE(marks.oldest_ms() == (model.entries.empty() ? -1 : model.entries.front().used_ms));
    }
  }
}

TEST_CASE("sticky marks: the least recently used goes first, by room and by time") {
  StickyMarks marks(3);
  CHECK(marks.add(1, 10) == StickyMarks::npos);
  CHECK(marks.add(2, 20) == StickyMarks::npos);
  CHECK(marks.add(3, 30) == StickyMarks::npos);
  CHECK(marks.add(1, 40) == StickyMarks::npos);
  CHECK(marks.add(4, 50) == 2);
  std::vector<double> out(8);
  CHECK(marks.expire(40, out) == 2);
  CHECK(out[0] == 3);
  CHECK(out[1] == 1);
  CHECK(marks.oldest_ms() == 50);
  CHECK(marks.add(5, 1) == StickyMarks::npos);
  CHECK(marks.expire(49, out) == 0);
}

TEST_CASE("sticky marks: no room at all gives the region back at once") {
  StickyMarks marks(0);
  CHECK(marks.add(7, 1) == 7);
  CHECK(marks.size() == 0);
  CHECK_FALSE(marks.has(7));
  CHECK(marks.oldest_ms() == -1);
}
