// The state file: where things lie, what comes back, and a table of everything that must be refused.
#include "core/state_layout.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "core/bytes.h"
#include "core/checksum.h"
#include "tests/support.h"

using namespace lockstep;

namespace {

StateStatic example(uint64_t regions) {
  return {.boot_id = "5a2f1c7e-0000-4000-8000-00000000cafe",
          .uuid = "LVM-0123456789abcdef",
          .constructor_text = "1048576 clustered-disk 253:7 1024 nosync",
          .luid = 0xFFFF888012345678,
          .region_count = regions,
          .region_size_sectors = 1024,
          .disk = true};
}

using File = std::vector<uint64_t>;

std::span<uint8_t> bytes_of(File& file) { return {reinterpret_cast<uint8_t*>(file.data()), file.size() * 8}; }

File file_of(uint64_t regions) {
  File file(StateLayout::of(regions).total_bytes / 8);
  REQUIRE(StateRecord::create(bytes_of(file), example(regions)));
  return file;
}

void seal(File& file) { store_le<uint32_t>(bytes_of(file), 1144, crc32c(bytes_of(file).first(1144))); }

}  // namespace

TEST_CASE("state: layout is page aligned, disjoint and exact") {
  for (const uint64_t regions : {uint64_t{1}, uint64_t{24577}, uint64_t{32768}, uint64_t{32769},
                                 uint64_t{1} << 24, region_count_max}) {
    const StateLayout layout = StateLayout::of(regions);
    const uint64_t words = (regions + 63) / 64 * 8;
    const uint64_t pages = ((regions + 32767) / 32768 + 63) / 64 * 8;
    CHECK(layout.pages_offset[0] == 4096);
    uint64_t end = 4096;
    for (const uint64_t offset : layout.pages_offset) {
      CHECK(offset == end);
      end += pages;
    }
    for (const uint64_t offset : layout.words_offset) {
      CHECK(offset % 4096 == 0);
      CHECK((offset >= end && offset < end + 4096));
      end = offset + words;
    }
    CHECK((layout.total_bytes % 4096 == 0 && layout.total_bytes >= end && layout.total_bytes < end + 4096));
  }
  CHECK(StateLayout::of(1).total_bytes == 5 * 4096);
}

TEST_CASE("state: what is stored is found again") {
  File file = file_of(1000);
  CHECK(validate_state(bytes_of(file)) == StateError::ok);
  {
    StateRecord record(bytes_of(file));
    CHECK(record.life_cycle() == 1);
    record.set_life_cycle(4);
    record.set_recovering_plus_one(1000);
    record.set_search_position(1001);
    record.set_in_sync_latched(true);
    record.set_marks_unknown(true);
    record.set_ever_resumed(true);
    record.set_log_failed(true);
    record.set_draining(true);
    record.set_doubted(true);
    record.set_recovery_doubted(true);
    record.set_recovery_untold(true);
    record.set_reconnecting(true);
    record.set_resume_count(77);
    record.set_device_number(device_number_max);
    RegionMap map(record.map_memory(), 1000);
    map.hold(std::vector<double>{0, 999});
    map.fill_clean(0, 1000, true);
    map.mark_dirty(std::vector<double>{999});
    map.set_in_sync(500, true);
  }
  CHECK(validate_state(bytes_of(file)) == StateError::ok);
  const StateRecord record(bytes_of(file));
  CHECK(record.life_cycle() == 4);
  CHECK(record.recovering_plus_one() == 1000);
  CHECK(record.search_position() == 1001);
  CHECK(record.in_sync_latched());
  CHECK(record.marks_unknown());
  CHECK(record.ever_resumed());
  CHECK(record.log_failed());
  CHECK(record.draining());
  CHECK(record.doubted());
  CHECK(record.recovery_doubted());
  CHECK(record.recovery_untold());
  CHECK(record.reconnecting());
  CHECK(record.resume_count() == 77);
  CHECK(record.device_number() == device_number_max);
  const StateStatic fixed = record.fixed();
  const StateStatic expected = example(1000);
  CHECK(fixed.boot_id == expected.boot_id);
  CHECK(fixed.uuid == expected.uuid);
  CHECK(fixed.constructor_text == expected.constructor_text);
  CHECK(fixed.luid == expected.luid);
  CHECK(fixed.region_count == 1000);
  CHECK(fixed.region_size_sectors == 1024);
  CHECK(fixed.disk);
  const RegionMap map(record.map_memory(), 1000);
  CHECK(map.held_count() == 2);
  CHECK(map.clean_count() == 999);
  CHECK_FALSE(map.is_clean(999));
  CHECK(map.sync_count() == 1);
  CHECK(map.is_in_sync(500));
}

TEST_CASE("state: what does not fit is not created") {
  const auto created = [](auto change) {
    StateStatic fixed = example(8);
    change(fixed);
    File file(StateLayout::of(8).total_bytes / 8);
    const bool made = StateRecord::create(bytes_of(file), fixed);
    CHECK(validate_state(bytes_of(file)) == (made ? StateError::ok : StateError::incomplete));
    return made;
  };
  const std::string text(2000, 'x');
  const std::string_view all(text);
  CHECK(created([&](StateStatic& fixed) { fixed.uuid = all.substr(0, 128); }));
  CHECK_FALSE(created([&](StateStatic& fixed) { fixed.uuid = all.substr(0, 129); }));
  CHECK(created([&](StateStatic& fixed) { fixed.boot_id = all.substr(0, 64); }));
  CHECK_FALSE(created([&](StateStatic& fixed) { fixed.boot_id = all.substr(0, 65); }));
  CHECK(created([&](StateStatic& fixed) { fixed.constructor_text = all.substr(0, 864); }));
  CHECK_FALSE(created([&](StateStatic& fixed) { fixed.constructor_text = all.substr(0, 865); }));
  CHECK_FALSE(created([](StateStatic& fixed) { fixed.uuid = std::string_view("a\0b", 3); }));
  CHECK_FALSE(created([](StateStatic& fixed) { fixed.region_count = 0; }));
  CHECK_FALSE(created([](StateStatic& fixed) { fixed.region_count = region_count_max + 1; }));
  CHECK_FALSE(created([](StateStatic& fixed) { fixed.region_size_sectors = 0; }));
}

TEST_CASE("state: malformed files are refused, each by its name") {
  const auto refusal = [](const std::function<void(File&)>& change, bool sealed = false) {
    File file = file_of(1000);
    change(file);
    if (sealed) seal(file);
    return validate_state(bytes_of(file));
  };
  const auto byte = [](size_t at, uint8_t value) { return [=](File& file) { bytes_of(file)[at] = value; }; };
  const auto word = [](size_t at, uint64_t value) { return [=](File& file) { file[at / 8] = value; }; };

  CHECK(refusal([](File& file) { file.clear(); }) == StateError::too_short);
  CHECK(refusal([](File& file) { file.resize(4096 / 8 - 1); }) == StateError::too_short);
  CHECK(refusal([](File& file) { file.resize(file.size() - 1); }) == StateError::too_short);
  CHECK(refusal([](File& file) { file.resize(file.size() + 1); }) == StateError::too_long);
  CHECK(refusal(word(0, 0)) == StateError::incomplete);
  CHECK(refusal(word(1152, 0)) == StateError::incomplete);
  CHECK(refusal([](File& file) { std::fill(file.begin(), file.end(), 0); }) == StateError::incomplete);
  CHECK(refusal(byte(7, '2')) == StateError::bad_magic);
  CHECK(refusal(byte(8, 1)) == StateError::bad_checksum);
  CHECK(refusal(byte(8, 1), true) == StateError::ok);
  CHECK(refusal(byte(8, 2), true) == StateError::ok);
  CHECK(refusal(byte(8, 6)) == StateError::bad_version);
  CHECK(refusal(byte(8, 0)) == StateError::bad_version);
  CHECK(refusal(byte(1152, 'X')) == StateError::bad_checksum);
  for (const size_t at : {12, 16, 24, 32, 40, 50, 120, 250, 1103, 1120, 1144, 1147}) {
    CAPTURE(at);
    CHECK(refusal([=](File& file) { bytes_of(file)[at] ^= 0x40; }) == StateError::bad_checksum);
  }

  CHECK(refusal(byte(12, 2), true) == StateError::bad_geometry);
  CHECK(refusal(word(24, 0), true) == StateError::bad_geometry);
  CHECK(refusal(word(24, region_count_max + 1), true) == StateError::bad_geometry);
  CHECK(refusal(word(24, ~uint64_t{0}), true) == StateError::bad_geometry);
  CHECK(refusal(word(24, 1 << 20), true) == StateError::bad_geometry);
  CHECK(refusal(word(32, 0), true) == StateError::bad_geometry);
  CHECK(refusal(word(32, uint64_t{1} << 60), true) == StateError::bad_geometry);
  CHECK(refusal(word(40, 4096), true) == StateError::bad_geometry);
  CHECK(refusal(byte(48 + 63, 'x'), true) == StateError::bad_text);
  CHECK(refusal(byte(112 + 60, 'x'), true) == StateError::bad_text);
  CHECK(refusal(byte(240 + 800, 'x'), true) == StateError::bad_text);
  CHECK(refusal(byte(1104, 1), true) == StateError::bad_text);

  const uint64_t words = 2048;
  CHECK(refusal(word(words, 0)) == StateError::bad_word);
  CHECK(refusal(word(words, 6)) == StateError::bad_word);
  CHECK(refusal(word(words + 8, 1000)) == StateError::ok);
  CHECK(refusal(word(words + 8, 1001)) == StateError::bad_word);
  CHECK(refusal(word(words + 16, 1001)) == StateError::ok);
  CHECK(refusal(word(words + 16, 1002)) == StateError::bad_word);
  for (int flag = 3; flag < 7; flag++) CHECK(refusal(word(words + 8 * flag, 2)) == StateError::bad_word);
  CHECK(refusal(word(words + 56, safe_integer_max + 1)) == StateError::bad_word);
  CHECK(refusal(word(words + 64, device_number_max + 1)) == StateError::bad_word);
  for (int polarity = 9; polarity < 12; polarity++)
    CHECK(refusal(word(words + 8 * polarity, 2)) == StateError::bad_word);
  CHECK(refusal(word(words + 96, 1)) == StateError::ok);
  CHECK(refusal(word(words + 96, 2)) == StateError::bad_word);
  CHECK(refusal(word(words + 104, uint64_t{node_max} + 1)) == StateError::ok);
  CHECK(refusal(word(words + 104, uint64_t{node_max} + 2)) == StateError::bad_word);
  CHECK(refusal(word(words + 112, safe_integer_max + 1)) == StateError::bad_word);
  CHECK(refusal(word(words + 120, 1)) == StateError::ok);
  CHECK(refusal(word(words + 120, 2)) == StateError::bad_word);
  CHECK(refusal(word(words + 128, 1)) == StateError::ok);
  CHECK(refusal(word(words + 128, 2)) == StateError::bad_word);
  CHECK(refusal(word(words + 136, 1)) == StateError::ok);
  CHECK(refusal(word(words + 136, 2)) == StateError::bad_word);
  CHECK(refusal(word(words + 144, 1)) == StateError::ok);
  CHECK(refusal(word(words + 144, 2)) == StateError::bad_word);
  CHECK(refusal(word(words + 152, 1)) == StateError::bad_word);
  CHECK(refusal(word(words + 248, 1)) == StateError::bad_word);
  // A copy of the member table that is not whole does not count, and that is all.
  CHECK(refusal(word(words + 256, 1)) == StateError::ok);
  CHECK(refusal(word(1160, 1)) == StateError::bad_word);
  CHECK(refusal(byte(1148, 1)) == StateError::bad_word);

  for (const size_t map : {0, 1, 2}) {
    CHECK(refusal(word(4096 + map * 8, 1)) == StateError::ok);
    CHECK(refusal(word(4096 + map * 8, 2)) == StateError::bad_pages);
  }
}

TEST_CASE("state: of two member tables the newer whole one counts") {
  File file = file_of(1000);
  StateRecord record(bytes_of(file));
  CHECK(record.member_table().empty());
  const std::vector<uint8_t> first(member_table_bytes_max, 7);
  const std::vector<uint8_t> second{1, 2, 3};
  record.store_member_table(first);
  CHECK(std::ranges::equal(record.member_table(), first));
  record.store_member_table(second);
  CHECK(std::ranges::equal(record.member_table(), second));
  record.store_member_table({});
  CHECK(record.member_table().empty());
  // The newest is torn: the one before it counts.
  bytes_of(file)[2304 + 8] ^= 1;
  CHECK(std::ranges::equal(record.member_table(), second));
  CHECK(validate_state(bytes_of(file)) == StateError::ok);
  bytes_of(file)[2304 + 896 + 16] ^= 1;
  CHECK(record.member_table().empty());
}

TEST_CASE("state: every error has a text of its own") {
  std::vector<std::string> texts;
  for (int error = 0; error <= static_cast<int>(StateError::bad_pages); error++) {
    texts.emplace_back(state_error_text(static_cast<StateError>(error)));
  }
  std::sort(texts.begin(), texts.end());
  CHECK(std::unique(texts.begin(), texts.end()) == texts.end());
  CHECK(std::find(texts.begin(), texts.end(), "unknown") == texts.end());
}
