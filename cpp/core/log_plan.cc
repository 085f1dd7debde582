#include "core/log_plan.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/assert.h"

namespace lockstep {

LogImage::LogImage(RegionMap& map)
    : map_(map),
      planned_(map.region_count()),
      recorded_region_count_(map.region_count()),
      area_bytes_(log_area_bytes(map.region_count(), logical_block_bytes_)) {
  planned_.clear_all();
}

bool LogImage::set_logical_block_bytes(uint64_t bytes) noexcept {
  if (!std::has_single_bit(bytes) || bytes < 512 || bytes > block_bytes) return false;
  if (bytes == logical_block_bytes_) return true;
  // Runs of the plan are cut for the old size; the next plan makes them anew.
  unplan();
  logical_block_bytes_ = bytes;
  area_bytes_ = log_area_bytes(map_.region_count(), bytes);
  return true;
}

uint64_t LogImage::plan() {
  planned_.clear_all();
  planned_.swap(map_.changed());
  make_runs();
  return planned_.count();
}

uint64_t LogImage::plan_all() {
  map_.changed().set_all();
  return plan();
}

void LogImage::unplan() noexcept {
  map_.changed().add(planned_);
  planned_.clear_all();
  runs_.clear();
}

void LogImage::make_runs() {
  runs_.clear();
  uint64_t block = planned_.find_next(0);
  while (block != ChangedBlocks::npos) {
    uint64_t end = block + 1;
    uint64_t next = planned_.find_next(end);
    while (next == end && end - block < log_run_blocks_max) next = planned_.find_next(++end);
    // The area's last block may end before the block does.
    const uint64_t offset = block * block_bytes;
    runs_.push_back({offset, std::min(end * block_bytes, area_bytes_) - offset});
    block = next;
  }
}

void LogImage::encode_run(uint64_t run, std::span<uint8_t> into) const noexcept {
  LOCKSTEP_ASSERT(run < runs_.size() && into.size() == runs_[run].bytes);
  encode(runs_[run].offset, into);
}

void LogImage::encode(uint64_t offset, std::span<uint8_t> into) const noexcept {
  LOCKSTEP_ASSERT(offset <= area_bytes_ && into.size() <= area_bytes_ - offset);
  if (offset < log_head_bytes) {
    std::array<uint8_t, log_head_bytes> head;
    encode_log_header(recorded_region_count_, std::span(head).first<log_session_offset>());
    std::copy(session_.begin(), session_.end(), head.begin() + log_session_offset);
    const uint64_t bytes = std::min<uint64_t>(log_head_bytes - offset, into.size());
    std::copy_n(head.begin() + static_cast<ptrdiff_t>(offset), bytes, into.begin());
    into = into.subspan(bytes);
    offset = log_head_bytes;
  }
  if (!into.empty()) map_.clean().read_bytes(offset - log_bits_offset, into);
}

bool LogImage::set_session(const LogSession& session) noexcept {
  std::array<uint8_t, log_session_bytes> record;
  if (!encode_log_session(session, record)) return false;
  change_session(record);
  return true;
}

void LogImage::clear_session() noexcept { change_session({}); }

void LogImage::change_session(const std::array<uint8_t, log_session_bytes>& record) noexcept {
  if (record == session_) return;
  session_ = record;
  map_.changed().set(log_session_offset / block_bytes);
}

void LogImage::set_recorded_region_count(uint64_t count) noexcept {
  if (count == recorded_region_count_) return;
  recorded_region_count_ = count;
  map_.changed().set(0);
}

LogImage::Head LogImage::decode_head(std::span<const uint8_t> bytes) {
  Head head{decode_log_header(bytes), std::nullopt};
  if (bytes.size() >= log_head_bytes) head.session = decode_log_session(bytes.subspan(log_session_offset));
  return head;
}

void LogImage::import_bytes(uint64_t offset, std::span<const uint8_t> bytes, uint64_t region_limit) noexcept {
  LOCKSTEP_ASSERT(offset % 512 == 0);
  const uint64_t before_bits = offset < log_bits_offset ? log_bits_offset - offset : 0;
  if (bytes.size() > before_bits) {
    map_.clean_for_import().write_bytes(offset + before_bits - log_bits_offset, bytes.subspan(before_bits),
                                        region_limit);
  }
  note_imported_blocks(offset, bytes);
}

void LogImage::note_imported_blocks(uint64_t offset, std::span<const uint8_t> bytes) noexcept {
  const uint64_t end = std::min(offset + bytes.size(), area_bytes_);
  for (uint64_t block = (offset + block_bytes - 1) / block_bytes; block < map_.changed().size(); block++) {
    const uint64_t start = block * block_bytes;
    const uint64_t stop = std::min(start + block_bytes, area_bytes_);
    if (stop > end) break;
    if (first_difference(start, bytes.subspan(start - offset, stop - start)) == npos) {
      map_.changed().clear(block);
    } else {
      map_.changed().set(block);
    }
  }
}

uint64_t LogImage::first_difference(uint64_t offset, std::span<const uint8_t> bytes) const noexcept {
  std::array<uint8_t, block_bytes> expected;
  const uint64_t end = std::min(offset + bytes.size(), area_bytes_);
  for (uint64_t at = offset; at < end;) {
    const uint64_t length = std::min<uint64_t>(block_bytes, end - at);
    encode(at, std::span(expected).first(length));
    const auto piece = bytes.subspan(at - offset, length);
    const auto differs = std::mismatch(piece.begin(), piece.end(), expected.begin()).first;
    if (differs != piece.end()) return at + static_cast<uint64_t>(differs - piece.begin());
    at += length;
  }
  return npos;
}

}  // namespace lockstep
