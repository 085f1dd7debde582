// The state file: raw bytes, and whole records that the input damages, with a wrong checksum or a right one.
// A file that is accepted can be attached to and used, and its static part is what creating it would have
// written.
#include <algorithm>
#include <vector>

#include "core/bytes.h"
#include "core/checksum.h"
#include "core/state_layout.h"
#include "fuzz/fuzz_support.h"

using namespace lockstep;
using lockstep::fuzz::Input;

namespace {

constexpr size_t static_bytes = 1160;
constexpr size_t version_at = 8;
constexpr size_t checksum_at = 1144;

/// Aligned as a mapping is.
struct File {
  explicit File(size_t bytes) : words((bytes + 7) / 8), size(bytes) {}
  std::span<uint8_t> bytes() { return {reinterpret_cast<uint8_t*>(words.data()), size}; }

  std::vector<uint64_t> words;
  size_t size;
};

/// The maps of an accepted file hold together: counts, searches and a change.
void check_map(RegionMap& map) {
  for (const Bitmap* bits : {&map.held(), &map.clean(), &map.sync()}) {
    uint64_t ones = 0;
    for (uint64_t at = bits->find_next_one(0); at != Bitmap::npos; at = bits->find_next_one(at + 1)) {
      LOCKSTEP_ASSERT(at < map.region_count() && bits->test(at));
      ones++;
    }
    LOCKSTEP_ASSERT(ones == bits->count());
  }
  const double last[] = {static_cast<double>(map.region_count() - 1)};
  map.mark_dirty(last);
  LOCKSTEP_ASSERT(!map.is_clean(map.region_count() - 1));
  LOCKSTEP_ASSERT(map.mark_clean(last) == 1);
  map.copy_clean_to_in_sync();
  LOCKSTEP_ASSERT(map.sync_count() == map.clean_count());
  map.unhold_all();
  LOCKSTEP_ASSERT(map.next_held(0) == RegionMap::npos);
}

void check(File& file) {
  if (validate_state(file.bytes()) != StateError::ok) return;
  StateRecord record(file.bytes());
  const StateStatic fixed = record.fixed();
  LOCKSTEP_ASSERT(fixed.region_count >= 1 && fixed.region_count <= region_count_max);
  LOCKSTEP_ASSERT(file.size == StateLayout::of(fixed.region_count).total_bytes);
  File again(file.size);
  LOCKSTEP_ASSERT(StateRecord::create(again.bytes(), fixed));
  const auto same = [&](size_t from, size_t to) {
    return std::ranges::equal(again.bytes().subspan(from, to - from), file.bytes().subspan(from, to - from));
  };
  // A record of an older version becomes one of today's: its version is another, and so its checksum.
  if (state_file_version(file.bytes()) == state_version) LOCKSTEP_ASSERT(same(0, static_bytes));
  LOCKSTEP_ASSERT(same(0, version_at) && same(version_at + 4, checksum_at));

  LOCKSTEP_ASSERT(record.life_cycle() >= life_cycle_min && record.life_cycle() <= life_cycle_max);
  LOCKSTEP_ASSERT(record.recovering_plus_one() <= fixed.region_count);
  LOCKSTEP_ASSERT(record.search_position() <= fixed.region_count + 1);
  RegionMap map(record.map_memory(), fixed.region_count);
  check_map(map);
  LOCKSTEP_ASSERT(validate_state(file.bytes()) == StateError::ok);
}

void check_damaged(Input input, bool sealed) {
  StateStatic fixed;
  fixed.region_count = 1 + input.below(70000);
  fixed.region_size_sectors = 1 + input.take<uint16_t>();
  fixed.luid = input.take<uint64_t>();
  fixed.disk = input.below(2) == 1;
  fixed.boot_id = input.take_text(input.below(boot_id_bytes_max + 1));
  fixed.uuid = input.take_text(input.below(uuid_bytes_max + 1));
  fixed.constructor_text = input.take_text(input.below(200));
  File file(StateLayout::of(fixed.region_count).total_bytes);
  LOCKSTEP_ASSERT(StateRecord::create(file.bytes(), fixed));
  LOCKSTEP_ASSERT(validate_state(file.bytes()) == StateError::ok);
  while (!input.empty()) {
    // Half of the damage goes to the first page and a bit, where everything but plain bits lies.
    const uint32_t place = input.take<uint32_t>();
    const size_t room = place % 2 == 0 ? std::min<size_t>(file.size, 4160) : file.size;
    file.bytes()[(place / 2) % room] = input.take<uint8_t>();
  }
  if (sealed) store_le<uint32_t>(file.bytes(), checksum_at, crc32c(file.bytes().first(checksum_at)));
  check(file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  Input input(data, size);
  const uint8_t mode = input.take<uint8_t>() % 4;
  if (mode == 0) {
    const auto raw = input.take_bytes(size);
    // Padded to the length of the smallest file now and then, so that more than its length is wrong with it.
    File file(raw.size() % 2 == 0 ? raw.size()
                                  : std::max<size_t>(raw.size(), StateLayout::of(1).total_bytes));
    std::copy(raw.begin(), raw.end(), file.bytes().begin());
    check(file);
  } else {
    check_damaged(input, mode != 1);
  }
  return 0;
}
