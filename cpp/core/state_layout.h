// The state file of one log (R2): where everything lies in it, and whether what is there can be trusted. The
// file itself, its name and its mapping are cpp/os's; the meaning of the words is the mirror core's.
//
// | offset | what                                                                                  |
// | ------ | ------------------------------------------------------------------------------------- |
// | 0      | static part, written once: magic "LSSTATE1", version, boot id, identity, geometry,      |
// |        | constructor text, CRC-32C of all of it                                                 |
// | 1152   | `complete`, stored after the static part: before it the file is no record                |
// | 2048   | dynamic words, one 64-bit word each, each valid by itself                              |
// | 2304   | two copies of the member table, each with a checksum; the newer valid one counts        |
// | 4096   | page bits of held, clean and sync (bitmap.h), together rounded up to 4096               |
// | ...    | words of held, clean and sync, each rounded up to 4096                                 |
//
// Fresh memory is zero, so bits and dynamic words need no writing, except for the life cycle, which is stored
// before `complete`. A file lives no longer than a boot and never moves to another host, so fields have the
// host's byte order.
//
// Version 1 had no member table and no word behind `draining`: read by this program it is a record of a log
// that no other node had. Version 2 had no word behind the place in the stream.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/limits.h"
#include "core/region_map.h"

namespace lockstep {

inline constexpr uint32_t state_version = 5;
/// The oldest version that is read.
inline constexpr uint32_t state_version_min = 1;
/// Bytes of a member table, which the mirror core encodes.
inline constexpr size_t member_table_bytes_max = 880;
inline constexpr uint64_t life_cycle_min = 1;
inline constexpr uint64_t life_cycle_max = 5;
/// Major 12 bits, minor 20 bits, plus 1.
inline constexpr uint64_t device_number_max = uint64_t{1} << 32;

/// Sizes and places for a number of regions. Also the layout of a map that has no file (its first page is
/// idle).
struct StateLayout {
  uint64_t region_count;
  uint64_t pages_offset[3];  ///< Page bits of held, clean, sync.
  uint64_t words_offset[3];  ///< Words of held, clean, sync.
  uint64_t total_bytes;

  /// `region_count` is 1 .. region_count_max.
  [[nodiscard]] static StateLayout of(uint64_t region_count) noexcept;
};

/// What is written once.
struct StateStatic {
  std::string_view boot_id;
  std::string_view uuid;
  std::string_view constructor_text;
  uint64_t luid = 0;
  uint64_t region_count = 0;
  uint64_t region_size_sectors = 0;
  bool disk = false;
};

enum class StateError {
  ok,
  /// Shorter than its first page, or than its geometry says.
  too_short,
  /// Longer than its geometry says.
  too_long,
  /// Not a state file.
  bad_magic,
  /// A version that this program cannot read (R3: the marks are lost).
  bad_version,
  /// Creation was interrupted: no reply has left for this log, the file may be deleted.
  incomplete,
  bad_checksum,
  /// Region count or size that cannot be.
  bad_geometry,
  /// A text that could not have been written.
  bad_text,
  /// A dynamic word outside its range.
  bad_word,
  /// A page bit past the last page.
  bad_pages,
};
[[nodiscard]] const char* state_error_text(StateError error) noexcept;

/// Checks a whole mapped file. Reads the first page and the page bits, never the words of the maps.
[[nodiscard]] StateError validate_state(std::span<const uint8_t> file) noexcept;

/// The version that a file with the right magic says it has; at least one page long.
[[nodiscard]] uint32_t state_file_version(std::span<const uint8_t> file) noexcept;

/// Reads and stores the fields of a mapped file (at least 8-byte aligned). A view: it owns nothing.
class StateRecord {
 public:
  /// Makes a record in zeroed memory of `StateLayout::of(region_count).total_bytes` bytes: the static part,
  /// life cycle 1, then `complete`. False, and no record, when a text does not fit or the geometry cannot be.
  [[nodiscard]] static bool create(std::span<uint8_t> memory, const StateStatic& fixed) noexcept;

  /// Attaches to memory that `validate_state` found ok, or that `create` made.
  explicit StateRecord(std::span<uint8_t> memory) noexcept;

  /// The static part; the texts point into the memory.
  [[nodiscard]] StateStatic fixed() const noexcept;
  /// Where the bits of the maps lie.
  [[nodiscard]] RegionMapMemory map_memory() const noexcept;

  uint64_t life_cycle() const noexcept { return get(life_cycle_word); }
  void set_life_cycle(uint64_t value) noexcept { set(life_cycle_word, value); }
  /// Region under recovery by this node's kernel plus 1, or 0.
  uint64_t recovering_plus_one() const noexcept { return get(recovering_word); }
  void set_recovering_plus_one(uint64_t value) noexcept { set(recovering_word, value); }
  /// 0 .. region_count + 1.
  uint64_t search_position() const noexcept { return get(search_word); }
  void set_search_position(uint64_t value) noexcept { set(search_word, value); }
  bool in_sync_latched() const noexcept { return get(latched_word) != 0; }
  void set_in_sync_latched(bool value) noexcept { set(latched_word, value ? 1 : 0); }
  bool marks_unknown() const noexcept { return get(marks_unknown_word) != 0; }
  void set_marks_unknown(bool value) noexcept { set(marks_unknown_word, value ? 1 : 0); }
  bool ever_resumed() const noexcept { return get(ever_resumed_word) != 0; }
  void set_ever_resumed(bool value) noexcept { set(ever_resumed_word, value ? 1 : 0); }
  bool log_failed() const noexcept { return get(log_failed_word) != 0; }
  void set_log_failed(bool value) noexcept { set(log_failed_word, value ? 1 : 0); }
  bool draining() const noexcept { return get(draining_word) != 0; }
  void set_draining(bool value) noexcept { set(draining_word, value ? 1 : 0); }
  uint64_t resume_count() const noexcept { return get(resume_count_word); }
  void set_resume_count(uint64_t value) noexcept { set(resume_count_word, value); }
  /// The log device's numbers as one, or 0 while they are not known; at most device_number_max.
  uint64_t device_number() const noexcept { return get(device_number_word); }
  void set_device_number(uint64_t value) noexcept { set(device_number_word, value); }

  /// Node that has the region under recovery plus 1; 0: this node, or none.
  uint64_t recovering_node() const noexcept { return get(recovering_node_word); }
  void set_recovering_node(uint64_t value) noexcept { set(recovering_node_word, value); }
  /// Messages of the log that were applied.
  uint64_t position() const noexcept { return get(position_word); }
  void set_position(uint64_t value) noexcept { set(position_word, value); }
  /// A FLUSH of this kernel was answered with an error, and what follows from that has not been done yet.
  bool doubted() const noexcept { return get(doubted_word) != 0; }
  void set_doubted(bool value) noexcept { set(doubted_word, value ? 1 : 0); }
  /// The end of the recovery under way says nothing.
  bool recovery_doubted() const noexcept { return get(recovery_doubted_word) != 0; }
  void set_recovery_doubted(bool value) noexcept { set(recovery_doubted_word, value ? 1 : 0); }
  /// This node's kernel was not told of the region under recovery.
  bool recovery_untold() const noexcept { return get(recovery_untold_word) != 0; }
  void set_recovery_untold(bool value) noexcept { set(recovery_untold_word, value ? 1 : 0); }

  /// The kernel has repeated the constructor, and the request behind that was not heard.
  bool reconnecting() const noexcept { return get(reconnecting_word) != 0; }
  void set_reconnecting(bool value) noexcept { set(reconnecting_word, value ? 1 : 0); }

  /// The newest member table that was stored whole; empty when there is none.
  [[nodiscard]] std::span<const uint8_t> member_table() const noexcept;
  /// Stores a table of at most `member_table_bytes_max` bytes. A kill inside leaves the one before.
  void store_member_table(std::span<const uint8_t> table) noexcept;

  /// True when `value` is in the word's range; the setters assert it.
  enum Word {
    life_cycle_word,
    recovering_word,
    search_word,
    latched_word,
    marks_unknown_word,
    ever_resumed_word,
    log_failed_word,
    resume_count_word,
    device_number_word,
    held_polarity_word,
    clean_polarity_word,
    sync_polarity_word,
    draining_word,
    recovering_node_word,
    position_word,
    doubted_word,
    recovery_doubted_word,
    recovery_untold_word,
    reconnecting_word,
    word_count,
  };
  [[nodiscard]] static bool word_valid(Word word, uint64_t value, uint64_t region_count) noexcept;

 private:
  uint64_t get(Word word) const noexcept;
  void set(Word word, uint64_t value) noexcept;

  std::span<uint8_t> memory_;
  uint64_t region_count_;
};

/// The maps' places in memory laid out by `layout` (8-byte aligned, zeroed when fresh), with or without a
/// record.
[[nodiscard]] RegionMapMemory map_memory(std::span<uint8_t> memory, const StateLayout& layout) noexcept;

}  // namespace lockstep
