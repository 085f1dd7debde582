// What a disk log should hold, and the next write of it: the region map's clean bits behind header and
// session record, and which changed blocks that write takes, joined into runs of adjacent blocks. No IO: a
// writer asks for the runs and encodes each into its own buffer. Behind ts/mirror/log-image.ts.
//
// A plan holds block numbers, not bytes: a run is encoded from memory as it is then. A bit that changes after
// `plan` makes its block changed again, so the next plan writes it whether or not this one's encoding had it.
// All calls come from the thread that owns the map.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/log_format.h"
#include "core/region_map.h"

namespace lockstep {

class LogImage {
 public:
  static constexpr uint64_t npos = ~uint64_t{0};

  /// `map` must outlive the image. Logical block size 512 until it is set.
  explicit LogImage(RegionMap& map);

  /// A power of two from 512 to 4096; false on anything else. Plans made before are given back as changed.
  [[nodiscard]] bool set_logical_block_bytes(uint64_t bytes) noexcept;
  uint64_t logical_block_bytes() const noexcept { return logical_block_bytes_; }
  /// Bytes of the whole area on the device.
  uint64_t area_bytes() const noexcept { return area_bytes_; }
  /// Changed blocks that no plan has taken.
  uint64_t changed_blocks() const noexcept { return map_.changed().count(); }

  /// Takes the changed blocks as the next write; returns their number. The plan before counts as written.
  uint64_t plan();
  /// Plans every block of the area.
  uint64_t plan_all();
  /// Gives the planned blocks back as changed, after a write that failed.
  void unplan() noexcept;

  struct Run {
    uint64_t offset;
    uint64_t bytes;
  };
  /// The runs of the plan by rising offset, each at most log_run_bytes_max long, offsets multiples of 4096
  /// and lengths of the logical block size.
  std::span<const Run> runs() const noexcept { return runs_; }
  uint64_t run_count() const noexcept { return runs_.size(); }
  /// Encodes the run; `into` is exactly as long as the run.
  void encode_run(uint64_t run, std::span<uint8_t> into) const noexcept;
  /// Encodes any piece of the area; what lies past the content is zero.
  void encode(uint64_t offset, std::span<uint8_t> into) const noexcept;

  /// Makes this the session record. False, and nothing changed, when it cannot be encoded.
  [[nodiscard]] bool set_session(const LogSession& session) noexcept;
  /// There is none.
  void clear_session() noexcept;

  /// Region count that the header claims, at first the map's. A log that grows or shrinks claims the old
  /// count until the new bits are durable, so that a torn write never puts a header in front of bits nobody
  /// wrote.
  void set_recorded_region_count(uint64_t count) noexcept;

  struct Head {
    LogHeader header;
    std::optional<LogSession> session;
  };
  /// Reads header and session record out of the first 1024 bytes; what is missing of them is no information.
  [[nodiscard]] static Head decode_head(std::span<const uint8_t> bytes);

  /// Takes device bytes from `offset` (a multiple of 512) into the clean bits of regions below
  /// `region_limit`. Blocks that the bytes cover whole are changed exactly when the image now differs from
  /// them; others keep their mark.
  void import_bytes(uint64_t offset, std::span<const uint8_t> bytes, uint64_t region_limit) noexcept;

  /// Byte offset (in the area) of the first difference between `bytes` read at `offset` and the image, or
  /// npos. What lies past the area is not compared.
  [[nodiscard]] uint64_t first_difference(uint64_t offset, std::span<const uint8_t> bytes) const noexcept;

 private:
  void change_session(const std::array<uint8_t, log_session_bytes>& record) noexcept;
  void make_runs();
  void note_imported_blocks(uint64_t offset, std::span<const uint8_t> bytes) noexcept;

  RegionMap& map_;
  ChangedBlocks planned_;
  std::vector<Run> runs_;
  std::array<uint8_t, log_session_bytes> session_{};
  uint64_t recorded_region_count_;
  uint64_t logical_block_bytes_ = 512;
  uint64_t area_bytes_;
};

}  // namespace lockstep
