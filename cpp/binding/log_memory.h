// The memory of one log with its region map and log image: what the JavaScript objects of that log share.
//
// It can be closed under them (its record was removed, or the simulated daemon was killed); then every call
// on them throws. A commit that is being written holds a pin, and the bits stay mapped until it has let go.
#pragma once

#include <memory>
#include <optional>

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
