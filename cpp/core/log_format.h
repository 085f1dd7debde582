// The records of a disk log: header and session record, each one pair of encode and decode. The bits behind
// them are plain bytes (bitmap.h); what is written when is log_plan.h's.
//
// | offset | size | field                                                                     |
// | ------ | ---- | ------------------------------------------------------------------------- |
// | 0      | 4    | magic 0x4D695272, bytes 72 52 69 4d                                       |
// | 4      | 4    | version: written 2; 1 is read as 2, others are refused                     |
// | 8      | 8    | number of regions at the last write                                       |
// | 16     | 496  | zero                                                                      |
// | 512    | 512  | session record (R9), or zero                                              |
// | 1024   | n    | clean bits                                                                |
//
// Session record, offsets from its start: 0 magic "LSSESS01", 8 writer epoch, 16 count of resumes, 24 flags
// (bit 0: closed), 28 sectors of a region (0: not said), 32 uuid (128), 160 boot id (64), 224 node name
// (128), 352 zero, 508 CRC-32C of bytes 0..507. Texts are padded with NUL. A record is accepted only when
// every byte of it is one that encoding could have written: whatever else is there, foreign or torn, is no
// information and not an error.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/limits.h"

namespace lockstep {

inline constexpr uint32_t log_magic = 0x4D695272;
inline constexpr uint32_t log_version = 2;

enum class LogHeaderKind {
  /// A log that may be read.
  valid,
  /// No log there: a foreign, empty or unreadable beginning.
  none,
  /// A log of a version that must not be read.
  unsupported,
};

struct LogHeader {
  LogHeaderKind kind = LogHeaderKind::none;
  uint32_t version = 0;
  /// May be above region_count_max (another program's log), but is a safe integer.
  uint64_t region_count = 0;
};

struct LogSession {
  std::string uuid;
  uint64_t writer_epoch = 0;
  std::string node_name;
  std::string boot_id;
  uint64_t resume_count = 0;
  /// Sectors of a region; 0: its writer did not say.
  uint32_t region_size_sectors = 0;
  /// Its writer closed the log in order.
  bool closed = false;

  bool operator==(const LogSession&) const = default;
};

/// Bytes that the area takes on a device with this logical block size (a power of two, 512 to 4096).
[[nodiscard]] uint64_t log_area_bytes(uint64_t region_count, uint64_t logical_block_bytes) noexcept;

/// Writes the first 512 bytes of the area.
void encode_log_header(uint64_t region_count, std::span<uint8_t, log_session_offset> into) noexcept;
/// Reads the first 16 bytes; fewer than that are no log.
[[nodiscard]] LogHeader decode_log_header(std::span<const uint8_t> bytes) noexcept;

/// Writes the 512-byte record. False when a text is too long or has a NUL, or a number is not a safe integer.
[[nodiscard]] bool encode_log_session(const LogSession& session,
                                      std::span<uint8_t, log_session_bytes> into) noexcept;
/// The record, or nothing when it is absent, foreign or torn.
[[nodiscard]] std::optional<LogSession> decode_log_session(std::span<const uint8_t> bytes);

}  // namespace lockstep
