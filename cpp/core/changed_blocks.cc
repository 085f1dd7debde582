#include "core/changed_blocks.h"

#include <algorithm>
#include <bit>

#include "core/assert.h"

namespace lockstep {

ChangedBlocks::ChangedBlocks(uint64_t region_count)
    : size_(block_count(region_count)), words_((block_count(region_count) + 63) / 64) {
  set_all();
}

void ChangedBlocks::clear(uint64_t block) noexcept {
  uint64_t& word = words_[block / 64];
  const uint64_t mask = uint64_t{1} << (block % 64);
  count_ -= (word & mask) != 0 ? 1 : 0;
  word &= ~mask;
}

void ChangedBlocks::set_range(uint64_t from, uint64_t to) noexcept {
  while (from < to) {
    const uint64_t end = std::min((from / 64 + 1) * 64, to);
    uint64_t& word = words_[from / 64];
    const uint64_t mask = (~uint64_t{0} << (from % 64)) & (~uint64_t{0} >> (63 - (end - 1) % 64));
    count_ += static_cast<uint64_t>(std::popcount(mask & ~word));
    word |= mask;
    from = end;
  }
}

void ChangedBlocks::set_regions(uint64_t from, uint64_t to) noexcept {
  if (from < to) set_range(block_of_region(from), block_of_region(to - 1) + 1);
}

void ChangedBlocks::set_all() noexcept { set_range(0, size_); }

void ChangedBlocks::clear_all() noexcept {
  std::fill(words_.begin(), words_.end(), uint64_t{0});
  count_ = 0;
}

void ChangedBlocks::add(const ChangedBlocks& other) noexcept {
  LOCKSTEP_ASSERT(other.size_ == size_);
  count_ = 0;
  for (size_t index = 0; index < words_.size(); index++) {
    words_[index] |= other.words_[index];
    count_ += static_cast<uint64_t>(std::popcount(words_[index]));
  }
}

void ChangedBlocks::swap(ChangedBlocks& other) noexcept {
  LOCKSTEP_ASSERT(other.size_ == size_);
  std::swap(count_, other.count_);
  words_.swap(other.words_);
}

uint64_t ChangedBlocks::find_next(uint64_t from) const noexcept {
  if (from >= size_) return npos;
  uint64_t index = from / 64;
  uint64_t word = words_[index] & (~uint64_t{0} << (from % 64));
  while (word == 0) {
    if (++index == words_.size()) return npos;
    word = words_[index];
  }
  return index * 64 + static_cast<uint64_t>(std::countr_zero(word));
}

}  // namespace lockstep
