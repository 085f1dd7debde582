// One bit for each of up to 2^32 regions, in memory that is given and may be lazily mapped: a fresh map of
// any size costs nothing until bits differ. No allocation, no IO, one thread.
//
// The map is cut into pages of 32768 bits (4 KiB of words). A page is
//
// | its page bit | the page is | its bits are                                           |
// | ------------ | ----------- | ------------------------------------------------------ |
// | 0            | uniform     | all equal to the map's polarity; its words are not read |
// | 1            | literal     | what its words say                                     |
//
// so zeroed memory is a map of zeros, a whole-map fill stores the polarity and drops the page bits without
// touching any word, and scans and counts leave uniform pages, and thereby unmapped memory, alone.
//
// The memory outlives a kill at any instruction (R2). Each operation is a chain of single aligned 64-bit
// stores in this order, and at every point of it every bit has its old or its new value:
//
// * One bit of a literal page: one store.
// * A uniform page becomes literal: its words take the polarity (nobody reads them yet), then one store sets
// the page
//   bit. Every bit of the page reads the same before and after.
// * Whole-map fill: one store of the polarity changes all uniform pages to the new value; then dropping the
// page bits
//   changes the literal ones, 64 pages a store.
// * Other fills, copies and imports go word by word.
//
// What several bits must mean together (hold before mark dirty, say) is the caller's order of calls.
#pragma once

#include <cstdint>
#include <span>

#include "core/assert.h"
#include "core/limits.h"
#include "core/word_store.h"

namespace lockstep {

/// Where a bitmap lives. Zeroed memory is a map of zeros.
struct BitmapMemory {
  /// At least `Bitmap::word_count(bits)` words.
  std::span<uint64_t> words;
  /// At least `Bitmap::page_word_count(bits)` words: one bit a page.
  std::span<uint64_t> pages;
  /// 0 or 1: the value of every bit of a uniform page.
  uint64_t* polarity = nullptr;
};

class Bitmap {
 public:
  static constexpr uint64_t npos = ~uint64_t{0};

  static constexpr uint64_t word_count(uint64_t bits) { return (bits + 63) / 64; }
  static constexpr uint64_t page_count(uint64_t bits) {
    return (bits + bitmap_page_bits - 1) / bitmap_page_bits;
  }
  static constexpr uint64_t page_word_count(uint64_t bits) { return (page_count(bits) + 63) / 64; }

  /// Attaches to memory as it is and counts its ones, which reads literal pages only.
  Bitmap(const BitmapMemory& memory, uint64_t bit_count) noexcept;

  uint64_t size() const noexcept { return bit_count_; }
  /// Number of one bits.
  uint64_t count() const noexcept { return count_; }
  /// Counts again from the bits; returns and keeps the result.
  uint64_t recount() noexcept;

  bool test(uint64_t bit) const noexcept {
    LOCKSTEP_ASSERT(bit < bit_count_);
    if (!is_literal(bit / bitmap_page_bits)) return polarity() != 0;
    return ((words_[bit / 64] >> (bit % 64)) & 1) != 0;
  }

  /// Says that the bit is about to be assigned.
  void prefetch(uint64_t bit) const noexcept { __builtin_prefetch(&words_[bit / 64], 1); }

  /// Sets the bit to `value`; true when that changed it.
  bool assign(uint64_t bit, bool value) noexcept {
    LOCKSTEP_ASSERT(bit < bit_count_);
    const uint64_t page = bit / bitmap_page_bits;
    if (!is_literal(page)) {
      if ((polarity() != 0) == value) return false;
      make_literal(page);
    }
    uint64_t& word = words_[bit / 64];
    const uint64_t mask = uint64_t{1} << (bit % 64);
    if (((word & mask) != 0) == value) return false;
    store_word(word, word ^ mask);
    count_ += value ? 1 : uint64_t(-1);
    return true;
  }

  /// First bit at or after `from` that equals `value`, or npos. `from` may lie past the end.
  [[nodiscard]] uint64_t find_next(uint64_t from, bool value) const noexcept;
  [[nodiscard]] uint64_t find_next_one(uint64_t from) const noexcept { return find_next(from, true); }
  [[nodiscard]] uint64_t find_next_zero(uint64_t from) const noexcept { return find_next(from, false); }
  /// As `find_next`, and when there is none up to the end goes on from bit 0.
  [[nodiscard]] uint64_t find_next_wrapped(uint64_t from, bool value) const noexcept;

  /// Sets every bit of [from, to) to `value`. A fill of the whole map touches no words.
  void fill(uint64_t from, uint64_t to, bool value) noexcept;
  void fill_all(bool value) noexcept;
  /// Takes over every bit of a map of the same size.
  void copy_from(const Bitmap& other) noexcept;

  /// Bytes of the map as the log device has them: bit i is bit i%8 of byte i/8, bits past the end read 0.
  /// `first_byte` is any; bytes past the map read 0.
  void read_bytes(uint64_t first_byte, std::span<uint8_t> into) const noexcept;
  /// Takes bits from bytes in that form. `first_byte` is a multiple of 8; bits at or past `bit_limit` or the
  /// end of the map keep their value. A uniform page that the bytes agree with stays uniform.
  void write_bytes(uint64_t first_byte, std::span<const uint8_t> bytes, uint64_t bit_limit) noexcept;

  /// Pages whose words are in use, hence mapped. For tests and for the memory figures of status.
  [[nodiscard]] uint64_t literal_page_count() const noexcept;

 private:
  bool is_literal(uint64_t page) const noexcept { return ((pages_[page / 64] >> (page % 64)) & 1) != 0; }
  uint64_t polarity() const noexcept { return *polarity_; }
  uint64_t pattern() const noexcept { return *polarity_ != 0 ? ~uint64_t{0} : 0; }
  uint64_t literal_run_end(uint64_t page, bool literal) const noexcept;
  void make_literal(uint64_t page) noexcept;
  void make_literal_filled(uint64_t page, bool value) noexcept;
  void merge_word(uint64_t index, uint64_t value, uint64_t mask) noexcept;
  void fill_page(uint64_t page, uint64_t from, uint64_t to, bool value) noexcept;
  uint64_t find_in_words(uint64_t from, uint64_t to, bool value) const noexcept;

  uint64_t* words_;
  uint64_t* pages_;
  uint64_t* polarity_;
  uint64_t bit_count_;
  uint64_t count_ = 0;
};

}  // namespace lockstep
