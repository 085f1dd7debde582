#include "core/state_layout.h"

#include <array>

#include "core/assert.h"
#include "core/bytes.h"
#include "core/checksum.h"
#include "core/word_store.h"

namespace lockstep {
namespace {

constexpr std::string_view state_magic = "LSSTATE1";
constexpr uint64_t complete_value = 0x4554454C504D4F43;  // "COMPLETE"

constexpr size_t magic_at = 0;
constexpr size_t version_at = 8;
constexpr size_t flags_at = 12;
constexpr size_t luid_at = 16;
constexpr size_t region_count_at = 24;
constexpr size_t region_size_at = 32;
constexpr size_t total_bytes_at = 40;
constexpr size_t boot_id_at = 48;
constexpr size_t uuid_at = boot_id_at + boot_id_bytes_max;
constexpr size_t ctor_at = uuid_at + uuid_bytes_max;
constexpr size_t static_end = ctor_at + ctor_text_bytes_max;
constexpr size_t checksum_at = 1144;
constexpr size_t complete_at = 1152;
constexpr size_t words_at = 2048;
constexpr size_t tables_at = 2304;
constexpr size_t first_page_bytes = block_bytes;
// A copy of the member table: checksum of what follows, length, sequence number, bytes.
constexpr size_t table_length_at = 4;
constexpr size_t table_sequence_at = 8;
constexpr size_t table_bytes_at = 16;
constexpr size_t table_slot_bytes = table_bytes_at + member_table_bytes_max;
static_assert(tables_at + 2 * table_slot_bytes == first_page_bytes);
constexpr uint32_t flag_disk = 1;
static_assert(static_end <= checksum_at && checksum_at + 8 <= complete_at && complete_at + 8 <= words_at);
static_assert(words_at + StateRecord::word_count * sizeof(uint64_t) <= tables_at);

constexpr uint64_t round_up(uint64_t bytes) { return (bytes + block_bytes - 1) / block_bytes * block_bytes; }

size_t word_offset(StateRecord::Word word) { return words_at + static_cast<size_t>(word) * sizeof(uint64_t); }

uint64_t& word_ref(std::span<uint8_t> memory, size_t offset) {
  return *reinterpret_cast<uint64_t*>(memory.subspan(offset, sizeof(uint64_t)).data());
}

bool geometry_valid(uint64_t region_count, uint64_t region_size_sectors) {
  return region_count > 0 && region_count <= region_count_max && region_size_sectors > 0 &&
         region_size_sectors <= safe_integer_max;
}

/// The static part, whose checksum is right.
StateError validate_static(std::span<const uint8_t> page) noexcept {
  if (load_le<uint32_t>(page, checksum_at) != crc32c(page.first(checksum_at)))
    return StateError::bad_checksum;
  if ((load_le<uint32_t>(page, flags_at) & ~flag_disk) != 0) return StateError::bad_geometry;
  const uint64_t region_count = load_le<uint64_t>(page, region_count_at);
  if (!geometry_valid(region_count, load_le<uint64_t>(page, region_size_at))) return StateError::bad_geometry;
  if (load_le<uint64_t>(page, total_bytes_at) != StateLayout::of(region_count).total_bytes) {
    return StateError::bad_geometry;
  }
  if (!load_text(page.subspan(boot_id_at, boot_id_bytes_max))) return StateError::bad_text;
  if (!load_text(page.subspan(uuid_at, uuid_bytes_max))) return StateError::bad_text;
  if (!load_text(page.subspan(ctor_at, ctor_text_bytes_max))) return StateError::bad_text;
  if (!all_zero(page.subspan(static_end, checksum_at - static_end))) return StateError::bad_text;
  return StateError::ok;
}

StateError validate_words(std::span<const uint8_t> page, uint64_t region_count) noexcept {
  for (int index = 0; index < StateRecord::word_count; index++) {
    const auto word = static_cast<StateRecord::Word>(index);
    if (!StateRecord::word_valid(word, load_le<uint64_t>(page, word_offset(word)), region_count)) {
      return StateError::bad_word;
    }
  }
  // A program that knows more words has another version; anything here is damage.
  if (!all_zero(page.subspan(checksum_at + 4, complete_at - checksum_at - 4)) ||
      !all_zero(page.subspan(complete_at + 8, words_at - complete_at - 8)) ||
      !all_zero(page.first(tables_at).subspan(word_offset(StateRecord::word_count)))) {
    return StateError::bad_word;
  }
  return StateError::ok;
}

std::span<const uint8_t> table_slot(std::span<const uint8_t> page, int slot) noexcept {
  return page.subspan(tables_at + static_cast<size_t>(slot) * table_slot_bytes, table_slot_bytes);
}

/// The sequence number of a copy that is whole; 0 of any other.
uint64_t table_sequence(std::span<const uint8_t> slot) noexcept {
  const uint32_t length = load_le<uint32_t>(slot, table_length_at);
  if (length > member_table_bytes_max) return 0;
  const auto sealed = slot.subspan(table_length_at, table_bytes_at - table_length_at + length);
  return load_le<uint32_t>(slot, 0) == crc32c(sealed) ? load_le<uint64_t>(slot, table_sequence_at) : 0;
}

/// Which copy counts, or -1.
int newest_table(std::span<const uint8_t> page) noexcept {
  const uint64_t first = table_sequence(table_slot(page, 0));
  const uint64_t second = table_sequence(table_slot(page, 1));
  if (first == 0 && second == 0) return -1;
  return second > first ? 1 : 0;
}

StateError validate_pages(std::span<const uint8_t> file, const StateLayout& layout) noexcept {
  const uint64_t in_last_word = Bitmap::page_count(layout.region_count) % 64;
  if (in_last_word == 0) return StateError::ok;
  const uint64_t last = (Bitmap::page_word_count(layout.region_count) - 1) * sizeof(uint64_t);
  for (const uint64_t offset : layout.pages_offset) {
    if (load_le<uint64_t>(file, offset + last) >> in_last_word != 0) return StateError::bad_pages;
  }
  return StateError::ok;
}

}  // namespace

StateLayout StateLayout::of(uint64_t region_count) noexcept {
  LOCKSTEP_ASSERT(region_count > 0 && region_count <= region_count_max);
  StateLayout layout{};
  layout.region_count = region_count;
  uint64_t at = first_page_bytes;
  for (uint64_t& offset : layout.pages_offset) {
    offset = at;
    at += Bitmap::page_word_count(region_count) * sizeof(uint64_t);
  }
  at = round_up(at);
  for (uint64_t& offset : layout.words_offset) {
    offset = at;
    at += round_up(Bitmap::word_count(region_count) * sizeof(uint64_t));
  }
  layout.total_bytes = at;
  return layout;
}

const char* state_error_text(StateError error) noexcept {
  switch (error) {
    case StateError::ok:
      return "ok";
    case StateError::too_short:
      return "file is shorter than its record";
    case StateError::too_long:
      return "file is longer than its record";
    case StateError::bad_magic:
      return "not a state file";
    case StateError::bad_version:
      return "unknown version of the state file";
    case StateError::incomplete:
      return "creation was interrupted";
    case StateError::bad_checksum:
      return "wrong checksum";
    case StateError::bad_geometry:
      return "impossible region count or size";
    case StateError::bad_text:
      return "impossible text";
    case StateError::bad_word:
      return "state word out of range";
    case StateError::bad_pages:
      return "page bit past the last page";
  }
  return "unknown";
}

uint32_t state_file_version(std::span<const uint8_t> file) noexcept {
  return load_le<uint32_t>(file, version_at);
}

StateError validate_state(std::span<const uint8_t> file) noexcept {
  if (file.size() < first_page_bytes) return StateError::too_short;
  const auto page = file.first(first_page_bytes);
  const auto magic = page.subspan(magic_at, state_magic.size());
  if (all_zero(magic)) return StateError::incomplete;
  if (!std::equal(magic.begin(), magic.end(), state_magic.begin())) return StateError::bad_magic;
  const uint32_t version = load_le<uint32_t>(page, version_at);
  if (version < state_version_min || version > state_version) return StateError::bad_version;
  const uint64_t complete = load_le<uint64_t>(page, complete_at);
  if (complete == 0) return StateError::incomplete;
  if (complete != complete_value) return StateError::bad_checksum;

  const StateError fixed = validate_static(page);
  if (fixed != StateError::ok) return fixed;
  const StateLayout layout = StateLayout::of(load_le<uint64_t>(page, region_count_at));
  if (file.size() < layout.total_bytes) return StateError::too_short;
  if (file.size() > layout.total_bytes) return StateError::too_long;
  const StateError words = validate_words(page, layout.region_count);
  return words != StateError::ok ? words : validate_pages(file, layout);
}

bool StateRecord::create(std::span<uint8_t> memory, const StateStatic& fixed) noexcept {
  if (!geometry_valid(fixed.region_count, fixed.region_size_sectors)) return false;
  const StateLayout layout = StateLayout::of(fixed.region_count);
  LOCKSTEP_ASSERT(memory.size() == layout.total_bytes);
  std::array<uint8_t, complete_at> page{};
  const std::span<uint8_t> bytes(page);
  std::copy(state_magic.begin(), state_magic.end(), page.begin() + magic_at);
  store_le<uint32_t>(bytes, version_at, state_version);
  store_le<uint32_t>(bytes, flags_at, fixed.disk ? flag_disk : 0);
  store_le<uint64_t>(bytes, luid_at, fixed.luid);
  store_le<uint64_t>(bytes, region_count_at, fixed.region_count);
  store_le<uint64_t>(bytes, region_size_at, fixed.region_size_sectors);
  store_le<uint64_t>(bytes, total_bytes_at, layout.total_bytes);
  if (!store_text(bytes.subspan(boot_id_at, boot_id_bytes_max), fixed.boot_id)) return false;
  if (!store_text(bytes.subspan(uuid_at, uuid_bytes_max), fixed.uuid)) return false;
  if (!store_text(bytes.subspan(ctor_at, ctor_text_bytes_max), fixed.constructor_text)) return false;
  store_le<uint32_t>(bytes, checksum_at, crc32c(bytes.first(checksum_at)));

  // The magic goes last of the static part: a file without it, or without `complete`, is an interrupted
  // creation.
  std::copy(page.begin() + version_at, page.end(), memory.begin() + version_at);
  store_word(word_ref(memory, magic_at), load_le<uint64_t>(bytes, magic_at));
  store_word(word_ref(memory, word_offset(life_cycle_word)), life_cycle_min);
  store_word(word_ref(memory, complete_at), complete_value);
  return true;
}

StateRecord::StateRecord(std::span<uint8_t> memory) noexcept
    : memory_(memory), region_count_(load_le<uint64_t>(memory, region_count_at)) {
  LOCKSTEP_ASSERT(reinterpret_cast<uintptr_t>(memory.data()) % alignof(uint64_t) == 0);
  LOCKSTEP_ASSERT(load_le<uint64_t>(memory, complete_at) == complete_value);
  LOCKSTEP_ASSERT(memory.size() == StateLayout::of(region_count_).total_bytes);
}

StateStatic StateRecord::fixed() const noexcept {
  const std::span<const uint8_t> page(memory_);
  StateStatic fixed;
  fixed.boot_id = load_text(page.subspan(boot_id_at, boot_id_bytes_max)).value_or("");
  fixed.uuid = load_text(page.subspan(uuid_at, uuid_bytes_max)).value_or("");
  fixed.constructor_text = load_text(page.subspan(ctor_at, ctor_text_bytes_max)).value_or("");
  fixed.luid = load_le<uint64_t>(page, luid_at);
  fixed.region_count = region_count_;
  fixed.region_size_sectors = load_le<uint64_t>(page, region_size_at);
  fixed.disk = (load_le<uint32_t>(page, flags_at) & flag_disk) != 0;
  return fixed;
}

RegionMapMemory StateRecord::map_memory() const noexcept {
  return lockstep::map_memory(memory_, StateLayout::of(region_count_));
}

bool StateRecord::word_valid(Word word, uint64_t value, uint64_t region_count) noexcept {
  switch (word) {
    case life_cycle_word:
      return value >= life_cycle_min && value <= life_cycle_max;
    case recovering_word:
      return value <= region_count;
    case search_word:
      return value <= region_count + 1;
    case resume_count_word:
    case position_word:
      return value <= safe_integer_max;
    case recovering_node_word:
      return value <= uint64_t{node_max} + 1;
    case device_number_word:
      return value <= device_number_max;
    case word_count:
      return false;
    default:
      return value <= 1;
  }
}

uint64_t StateRecord::get(Word word) const noexcept {
  return load_word(word_ref(memory_, word_offset(word)));
}

void StateRecord::set(Word word, uint64_t value) noexcept {
  LOCKSTEP_ASSERT(word_valid(word, value, region_count_));
  store_word(word_ref(memory_, word_offset(word)), value);
}

std::span<const uint8_t> StateRecord::member_table() const noexcept {
  const int newest = newest_table(memory_);
  if (newest < 0) return {};
  const auto slot = table_slot(memory_, newest);
  return slot.subspan(table_bytes_at, load_le<uint32_t>(slot, table_length_at));
}

void StateRecord::store_member_table(std::span<const uint8_t> table) noexcept {
  LOCKSTEP_ASSERT(table.size() <= member_table_bytes_max);
  const int newest = newest_table(memory_);
  const uint64_t sequence = newest < 0 ? 0 : table_sequence(table_slot(memory_, newest));
  const auto at = tables_at + (newest == 0 ? table_slot_bytes : 0);
  const std::span<uint8_t> slot = memory_.subspan(at, table_slot_bytes);
  store_le<uint32_t>(slot, table_length_at, static_cast<uint32_t>(table.size()));
  store_le<uint64_t>(slot, table_sequence_at, sequence + 1);
  std::copy(table.begin(), table.end(), slot.begin() + table_bytes_at);
  store_le<uint32_t>(slot, 0,
                     crc32c(slot.subspan(table_length_at, table_bytes_at - table_length_at + table.size())));
}

RegionMapMemory map_memory(std::span<uint8_t> memory, const StateLayout& layout) noexcept {
  LOCKSTEP_ASSERT(memory.size() >= layout.total_bytes);
  LOCKSTEP_ASSERT(reinterpret_cast<uintptr_t>(memory.data()) % alignof(uint64_t) == 0);
  const auto words = [&](uint64_t offset, uint64_t count) {
    const auto bytes = memory.subspan(offset, count * sizeof(uint64_t));
    return std::span(reinterpret_cast<uint64_t*>(bytes.data()), count);
  };
  const auto part = [&](int index, StateRecord::Word polarity) {
    return BitmapMemory{words(layout.words_offset[index], Bitmap::word_count(layout.region_count)),
                        words(layout.pages_offset[index], Bitmap::page_word_count(layout.region_count)),
                        &word_ref(memory, word_offset(polarity))};
  };
  return {part(0, StateRecord::held_polarity_word), part(1, StateRecord::clean_polarity_word),
          part(2, StateRecord::sync_polarity_word)};
}

}  // namespace lockstep
