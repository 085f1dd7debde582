// The bitmap's slow half: whatever goes over many words. bitmap.h has the design and why each chain of stores
// can be cut anywhere.
#include "core/bitmap.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/scan.h"

namespace lockstep {
namespace {

constexpr uint64_t all_ones = ~uint64_t{0};

/// Ones at the bits [from, to) of a word, 0 <= from < to <= 64.
constexpr uint64_t bits_mask(uint64_t from, uint64_t to) {
  return (all_ones << from) & (all_ones >> (64 - to));
}

}  // namespace

Bitmap::Bitmap(const BitmapMemory& memory, uint64_t bit_count) noexcept
    : words_(memory.words.data()),
      pages_(memory.pages.data()),
      polarity_(memory.polarity),
      bit_count_(bit_count) {
  LOCKSTEP_ASSERT(bit_count > 0 && bit_count <= region_count_max);
  LOCKSTEP_ASSERT(memory.words.size() >= word_count(bit_count));
  LOCKSTEP_ASSERT(memory.pages.size() >= page_word_count(bit_count));
  LOCKSTEP_ASSERT(memory.polarity != nullptr && *memory.polarity <= 1);
  recount();
}

/// First page at or after `page` that is not literal (or not uniform), or the number of pages.
uint64_t Bitmap::literal_run_end(uint64_t page, bool literal) const noexcept {
  const uint64_t pages = page_count(bit_count_);
  const uint64_t flip = literal ? all_ones : 0;
  while (page < pages) {
    const uint64_t others = (pages_[page / 64] ^ flip) >> (page % 64);
    if (others != 0) return std::min(page + static_cast<uint64_t>(std::countr_zero(others)), pages);
    page = (page / 64 + 1) * 64;
  }
  return pages;
}

uint64_t Bitmap::recount() noexcept {
  count_ = 0;
  const uint64_t pages = page_count(bit_count_);
  for (uint64_t page = 0; page < pages;) {
    const bool literal = is_literal(page);
    const uint64_t end = literal_run_end(page, literal);
    const uint64_t first_bit = page * bitmap_page_bits;
    const uint64_t end_bit = std::min(end * bitmap_page_bits, bit_count_);
    if (literal) {
      count_ += count_ones(words_ + first_bit / 64, end_bit / 64 - first_bit / 64);
      // Bits past the end of the map are never written on purpose and never counted.
      if (end_bit % 64 != 0) {
        count_ += static_cast<uint64_t>(std::popcount(words_[end_bit / 64] & bits_mask(0, end_bit % 64)));
      }
    } else if (polarity() != 0) {
      count_ += end_bit - first_bit;
    }
    page = end;
  }
  return count_;
}

uint64_t Bitmap::find_in_words(uint64_t from, uint64_t to, bool value) const noexcept {
  const uint64_t pattern = value ? 0 : all_ones;
  uint64_t index = from / 64;
  const uint64_t end = word_count(to);
  uint64_t wanted = (words_[index] ^ pattern) & (all_ones << (from % 64));
  if (wanted == 0) {
    index++;
    index += find_first_other(words_ + index, end - index, pattern);
    if (index == end) return npos;
    wanted = words_[index] ^ pattern;
  }
  const uint64_t bit = index * 64 + static_cast<uint64_t>(std::countr_zero(wanted));
  return bit < to ? bit : npos;
}

uint64_t Bitmap::find_next(uint64_t from, bool value) const noexcept {
  while (from < bit_count_) {
    const uint64_t page = from / bitmap_page_bits;
    const bool literal = is_literal(page);
    if (!literal && (polarity() != 0) == value) return from;
    const uint64_t end = std::min(literal_run_end(page, literal) * bitmap_page_bits, bit_count_);
    if (literal) {
      const uint64_t found = find_in_words(from, end, value);
      if (found != npos) return found;
    }
    from = end;
  }
  return npos;
}

uint64_t Bitmap::find_next_wrapped(uint64_t from, bool value) const noexcept {
  const uint64_t found = find_next(from, value);
  return found != npos || from == 0 ? found : find_next(0, value);
}

void Bitmap::make_literal(uint64_t page) noexcept { make_literal_filled(page, polarity() != 0); }

void Bitmap::make_literal_filled(uint64_t page, bool value) noexcept {
  const uint64_t first = page * bitmap_page_words;
  const uint64_t end = std::min(first + bitmap_page_words, word_count(bit_count_));
  // Plain stores: nobody reads the words of a uniform page, and store_word keeps them before the page bit.
  std::fill(words_ + first, words_ + end, value ? all_ones : 0);
  store_word(pages_[page / 64], pages_[page / 64] | (uint64_t{1} << (page % 64)));
}

void Bitmap::merge_word(uint64_t index, uint64_t value, uint64_t mask) noexcept {
  const uint64_t old = words_[index];
  const uint64_t merged = (old & ~mask) | (value & mask);
  if (merged == old) return;
  store_word(words_[index], merged);
  count_ += static_cast<uint64_t>(std::popcount(merged & mask));
  count_ -= static_cast<uint64_t>(std::popcount(old & mask));
}

/// [from, to) lies in `page` and is not empty.
void Bitmap::fill_page(uint64_t page, uint64_t from, uint64_t to, bool value) noexcept {
  if (!is_literal(page)) {
    if ((polarity() != 0) == value) return;
    const uint64_t page_end = std::min((page + 1) * bitmap_page_bits, bit_count_);
    if (from == page * bitmap_page_bits && to == page_end) {
      make_literal_filled(page, value);
      count_ += value ? to - from : from - to;
      return;
    }
    make_literal(page);
  }
  const uint64_t pattern = value ? all_ones : 0;
  for (uint64_t bit = from; bit < to;) {
    const uint64_t word_end = std::min((bit / 64 + 1) * 64, to);
    merge_word(bit / 64, pattern, bits_mask(bit % 64, word_end - bit / 64 * 64));
    bit = word_end;
  }
}

void Bitmap::fill(uint64_t from, uint64_t to, bool value) noexcept {
  LOCKSTEP_ASSERT(from <= to && to <= bit_count_);
  if (from == 0 && to == bit_count_) {
    fill_all(value);
    return;
  }
  while (from < to) {
    const uint64_t page = from / bitmap_page_bits;
    const uint64_t end = std::min((page + 1) * bitmap_page_bits, to);
    fill_page(page, from, end, value);
    from = end;
  }
}

void Bitmap::fill_all(bool value) noexcept {
  store_word(*polarity_, value ? 1 : 0);
  const uint64_t page_words = page_word_count(bit_count_);
  for (uint64_t index = 0; index < page_words; index++) {
    if (pages_[index] != 0) store_word(pages_[index], 0);
  }
  count_ = value ? bit_count_ : 0;
}

void Bitmap::copy_from(const Bitmap& other) noexcept {
  LOCKSTEP_ASSERT(other.bit_count_ == bit_count_);
  const uint64_t words = word_count(bit_count_);
  const uint64_t pages = page_count(bit_count_);
  for (uint64_t page = other.literal_run_end(0, false); page < pages;
       page = other.literal_run_end(page + 1, false)) {
    const uint64_t first = page * bitmap_page_words;
    const uint64_t end = std::min(first + bitmap_page_words, words);
    if (is_literal(page)) {
      for (uint64_t index = first; index < end; index++) store_word(words_[index], other.words_[index]);
    } else {
      std::copy(other.words_ + first, other.words_ + end, words_ + first);
      store_word(pages_[page / 64], pages_[page / 64] | (uint64_t{1} << (page % 64)));
    }
  }
  // Every page that is uniform here now is uniform there too, so the polarity gives those the new bits; then
  // the pages that are literal here only leave their old words for the new polarity.
  store_word(*polarity_, other.polarity());
  const uint64_t page_words = page_word_count(bit_count_);
  for (uint64_t index = 0; index < page_words; index++) {
    if (pages_[index] != other.pages_[index]) store_word(pages_[index], other.pages_[index]);
  }
  count_ = other.count_;
}

void Bitmap::read_bytes(uint64_t first_byte, std::span<uint8_t> into) const noexcept {
  const uint64_t byte_count = (bit_count_ + 7) / 8;
  const uint64_t end = first_byte + into.size();
  uint64_t at = first_byte;
  while (at < std::min(end, byte_count)) {
    const uint64_t page = at / bitmap_page_bytes;
    const uint64_t stop = std::min({(page + 1) * bitmap_page_bytes, end, byte_count});
    uint8_t* target = into.data() + (at - first_byte);
    if (is_literal(page)) {
      std::memcpy(target, reinterpret_cast<const uint8_t*>(words_) + at, stop - at);
    } else {
      std::memset(target, polarity() != 0 ? 0xFF : 0, stop - at);
    }
    at = stop;
  }
  if (at == byte_count && at > first_byte && bit_count_ % 8 != 0) {
    into[byte_count - 1 - first_byte] &= static_cast<uint8_t>(bits_mask(0, bit_count_ % 8));
  }
  if (at < end) std::memset(into.data() + (at - first_byte), 0, end - at);
}

void Bitmap::write_bytes(uint64_t first_byte, std::span<const uint8_t> bytes, uint64_t bit_limit) noexcept {
  LOCKSTEP_ASSERT(first_byte % sizeof(uint64_t) == 0);
  const uint64_t end = std::min({bit_limit, bit_count_, (first_byte + bytes.size()) * 8});
  // A word of the bytes, of which only the bits below `end` count.
  const auto word_at = [&](uint64_t bit, uint64_t& mask) {
    const uint64_t byte = bit / 8 - first_byte;
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + byte, std::min<uint64_t>(sizeof(word), bytes.size() - byte));
    mask = bits_mask(0, std::min<uint64_t>(end - bit, 64));
    return word;
  };
  for (uint64_t from = first_byte * 8; from < end;) {
    const uint64_t page = from / bitmap_page_bits;
    const uint64_t page_end = std::min((page + 1) * bitmap_page_bits, end);
    uint64_t mask = 0;
    uint64_t bit = from;
    if (!is_literal(page)) {
      while (bit < page_end && ((word_at(bit, mask) ^ pattern()) & mask) == 0) bit += 64;
      if (bit < page_end) make_literal(page);
    }
    for (; bit < page_end; bit += 64) {
      const uint64_t word = word_at(bit, mask);
      merge_word(bit / 64, word, mask);
    }
    from = page_end;
  }
}

uint64_t Bitmap::literal_page_count() const noexcept {
  return count_ones(pages_, page_word_count(bit_count_));
}

}  // namespace lockstep
