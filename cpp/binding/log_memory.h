// The memory of one log with its region map and log image: what the JavaScript objects of that log share.
//
// It can be closed under them (its record was removed, or the simulated daemon was killed); then every call
// on them throws. A commit that is being written holds a pin, and the bits stay mapped until it has let go.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>

#include "core/log_plan.h"
#include "core/region_map.h"
#include "core/state_layout.h"
#include "data/log_io.h"
#include "os/mapping.h"
#include "os/state_store.h"

namespace lockstep::binding {

class LogMemory {
 public:
  /// The bits of a state record.
  explicit LogMemory(std::shared_ptr<StateSlot> slot) : slot_(std::move(slot)) {
    const StateRecord record = slot_->record();
    region_count_ = record.fixed().region_count;
    map_.emplace(record.map_memory(), region_count_);
  }
  /// Bits of their own: memory laid out as a state file, without a record in it.
  LogMemory(Mapping mapping, uint64_t region_count) : own_(std::move(mapping)), region_count_(region_count) {
    map_.emplace(map_memory(own_.bytes(), StateLayout::of(region_count)), region_count);
  }
  LogMemory(const LogMemory&) = delete;
  LogMemory& operator=(const LogMemory&) = delete;

  bool closed() const noexcept { return closed_; }
  bool pinned() const noexcept { return pins_ > 0; }
  bool has_record() const noexcept { return slot_ != nullptr; }
  uint64_t region_count() const noexcept { return region_count_; }
  const std::shared_ptr<StateSlot>& slot() const noexcept { return slot_; }
  RegionMap& map() { return *map_; }
  /// Room has to be had before bits change for the first time.
  bool is_sparse() const noexcept { return slot_ != nullptr && slot_->is_lazy(); }
  /// Before bits of these regions change for the first time: 0, or the errno for want of room.
  [[nodiscard]] int ensure_room(std::span<const double> regions) noexcept {
    if (!is_sparse()) return 0;
    for (const double region : regions) {
      if (const int error = slot_->ensure_room(static_cast<uint64_t>(region)); error != 0) return error;
    }
    return 0;
  }
  /// The same for the import of clean bits, where they are not what the map says there already.
  [[nodiscard]] int ensure_room_for_import(uint64_t offset, std::span<const uint8_t> bytes) noexcept;
  /// The same for bytes of clean or sync bits from any source.
  [[nodiscard]] int ensure_room_for_bytes(uint64_t first_byte, std::span<const uint8_t> bytes,
                                          bool sync) noexcept;
  LogImage& image() {
    if (!image_) image_.emplace(*map_);
    return *image_;
  }

  void close() noexcept {
    closed_ = true;
    release();
  }
  void pin() noexcept { pins_++; }
  void unpin() noexcept {
    pins_--;
    release();
  }

 private:
  /// Gives the memory back at once, not when the garbage collector comes round.
  void release() noexcept {
    if (!closed_ || pins_ > 0) return;
    image_.reset();
    map_.reset();
    slot_.reset();
    own_ = Mapping();
  }

  std::shared_ptr<StateSlot> slot_;
  Mapping own_;
  uint64_t region_count_ = 0;
  std::optional<RegionMap> map_;
  std::optional<LogImage> image_;
  uint32_t pins_ = 0;
  bool closed_ = false;
};

inline int LogMemory::ensure_room_for_import(uint64_t offset, std::span<const uint8_t> bytes) noexcept {
  // Bytes of the log area before the first clean bit are header.
  const uint64_t skip = offset < log_bits_offset ? log_bits_offset - offset : 0;
  if (skip >= bytes.size()) return 0;
  return ensure_room_for_bytes(offset + skip - log_bits_offset, bytes.subspan(skip), false);
}

inline int LogMemory::ensure_room_for_bytes(uint64_t first_byte, std::span<const uint8_t> bytes,
                                            bool sync) noexcept {
  if (!is_sparse()) return 0;
  for (uint64_t at = 0; at < bytes.size();) {
    const uint64_t bit_byte = first_byte + at;
    const uint64_t region = bit_byte * 8;
    if (region >= region_count_) return 0;
    const uint64_t length =
        std::min<uint64_t>(bitmap_page_bytes - bit_byte % bitmap_page_bytes, bytes.size() - at);
    const uint8_t now = (sync ? map_->is_in_sync(region) : map_->is_clean(region)) ? 0xFF : 0;
    const auto part = bytes.subspan(at, length);
    const bool same = std::all_of(part.begin(), part.end(), [now](uint8_t byte) { return byte == now; });
    if (!same) {
      if (const int error = slot_->ensure_room(region); error != 0) return error;
    }
    at += length;
  }
  return 0;
}

/// The image as a log writer reads it.
class PinnedImage final : public LogSource {
 public:
  explicit PinnedImage(std::shared_ptr<LogMemory> memory) : memory_(std::move(memory)) { memory_->pin(); }
  ~PinnedImage() override { memory_->unpin(); }
  void encode(uint64_t offset, std::span<uint8_t> into) const override {
    memory_->image().encode(offset, into);
  }

 private:
  std::shared_ptr<LogMemory> memory_;
};

}  // namespace lockstep::binding
