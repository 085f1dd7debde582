// Every limit of the native side, and the arithmetic that ties the limits together. The TypeScript side has
// the same numbers in ts/base/limits.ts; a test compares the two.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace lockstep {

/// R17: a log has at most this many regions, so a region number fits 32 bits and a double.
inline constexpr uint64_t region_count_max = uint64_t{1} << 32;
/// Node numbers are 32 bits; the highest one marks an empty slot of a table.
inline constexpr uint32_t node_max = 0xFFFFFFFE;
/// The largest integer that a JavaScript number holds exactly.
inline constexpr uint64_t safe_integer_max = (uint64_t{1} << 53) - 1;

/// Unit of change tracking of the log area, and of every segment of the state file.
inline constexpr uint64_t block_bytes = 4096;
/// A bitmap is kept page by page: a page is one block of words.
inline constexpr uint64_t bitmap_page_bytes = block_bytes;
inline constexpr uint64_t bitmap_page_words = bitmap_page_bytes / sizeof(uint64_t);
inline constexpr uint64_t bitmap_page_bits = bitmap_page_bytes * 8;

// The log device (docs/dirty-log.md).
inline constexpr uint64_t log_session_offset = 512;
inline constexpr uint64_t log_session_bytes = 512;
inline constexpr uint64_t log_bits_offset = 1024;
inline constexpr uint64_t log_head_bytes = log_bits_offset;
/// One write of adjacent changed blocks is no longer than this.
inline constexpr uint64_t log_run_bytes_max = uint64_t{1} << 20;
inline constexpr uint64_t log_run_blocks_max = log_run_bytes_max / block_bytes;
/// One read of the log device is no longer than this.
inline constexpr uint64_t log_read_bytes_max = uint64_t{1} << 20;
/// The whole log area of the largest log, at the largest logical block size.
inline constexpr uint64_t log_area_bytes_max =
    log_bits_offset + region_count_max / 8 + (block_bytes - log_bits_offset);

// Texts. All are counted in bytes and without a trailing NUL.
inline constexpr size_t uuid_bytes_max = 128;
inline constexpr size_t ctor_text_bytes_max = 864;
inline constexpr size_t boot_id_bytes_max = 64;
inline constexpr size_t node_name_bytes_max = 128;

// Connector frames (docs/dirty-log.md): netlink header, connector header, request header, payload.
inline constexpr size_t netlink_header_bytes = 16;
inline constexpr size_t connector_header_bytes = 20;
inline constexpr size_t request_header_bytes = 160;
inline constexpr size_t request_offset = netlink_header_bytes + connector_header_bytes;
inline constexpr size_t payload_offset = request_offset + request_header_bytes;
inline constexpr size_t frame_bytes_max = 2048;
inline constexpr size_t payload_bytes_max = frame_bytes_max - payload_offset;
inline constexpr size_t payload_regions_max = payload_bytes_max / sizeof(uint64_t);
/// The kernel groups at most this many regions into one MARK, CLEAR or FLUSH.
inline constexpr size_t kernel_group_regions_max = 32;
inline constexpr uint32_t request_version_max = 3;

// The slots that frames are received into and sent from. A frame starts at 4 mod 8, so that the request
// header (offset 36) and the payload (offset 196) lie at multiples of 8.
inline constexpr size_t frame_slot_count = 256;
inline constexpr size_t frame_slot_start = 4;
inline constexpr size_t frame_slot_stride = 2056;

// Regions whose owners and sticky marks one log can remember.
inline constexpr uint64_t owners_capacity_max = uint64_t{1} << 28;
inline constexpr uint64_t sticky_capacity_max = uint64_t{1} << 20;

static_assert(std::endian::native == std::endian::little, "bitmaps are copied to the log device as they are");
static_assert(region_count_max <= safe_integer_max);
static_assert(log_session_offset + log_session_bytes == log_bits_offset);
static_assert(log_bits_offset % 8 == 0 && log_bits_offset < block_bytes);
static_assert(log_run_bytes_max % block_bytes == 0 && log_read_bytes_max % block_bytes == 0);
static_assert(log_area_bytes_max % block_bytes == 0);
static_assert(ctor_text_bytes_max <= payload_bytes_max);
static_assert(kernel_group_regions_max <= payload_regions_max);
static_assert(payload_offset == 196);
static_assert((frame_slot_start + request_offset) % 8 == 0 && (frame_slot_start + payload_offset) % 8 == 0);
static_assert(frame_slot_stride % 8 == 0 && frame_slot_start + frame_bytes_max <= frame_slot_stride);

}  // namespace lockstep
