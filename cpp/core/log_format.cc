#include "core/log_format.h"

#include "core/assert.h"
#include "core/bytes.h"
#include "core/changed_blocks.h"
#include "core/checksum.h"

namespace lockstep {
namespace {

// Header.
constexpr size_t magic_at = 0;
constexpr size_t version_at = 4;
constexpr size_t region_count_at = 8;
constexpr size_t header_fields_bytes = 16;

// Session record, from its own start.
constexpr std::string_view session_magic = "LSSESS01";
constexpr size_t epoch_at = 8;
constexpr size_t resume_count_at = 16;
constexpr size_t flags_at = 24;
constexpr size_t region_size_at = 28;
constexpr size_t uuid_at = 32;
constexpr size_t boot_id_at = uuid_at + uuid_bytes_max;
constexpr size_t node_name_at = boot_id_at + boot_id_bytes_max;
constexpr size_t rest_at = node_name_at + node_name_bytes_max;
constexpr size_t checksum_at = log_session_bytes - 4;
constexpr uint32_t flag_closed = 1;
static_assert(rest_at == 352 && rest_at <= checksum_at);

}  // namespace

uint64_t log_area_bytes(uint64_t region_count, uint64_t logical_block_bytes) noexcept {
  const uint64_t content = ChangedBlocks::content_bytes(region_count);
  return (content + logical_block_bytes - 1) / logical_block_bytes * logical_block_bytes;
}

void encode_log_header(uint64_t region_count, std::span<uint8_t, log_session_offset> into) noexcept {
  std::fill(into.begin(), into.end(), uint8_t{0});
  store_le<uint32_t>(into, magic_at, log_magic);
  store_le<uint32_t>(into, version_at, log_version);
  store_le<uint64_t>(into, region_count_at, region_count);
}

LogHeader decode_log_header(std::span<const uint8_t> bytes) noexcept {
  LogHeader header;
  if (bytes.size() < header_fields_bytes || load_le<uint32_t>(bytes, magic_at) != log_magic) return header;
  header.version = load_le<uint32_t>(bytes, version_at);
  header.region_count = load_le<uint64_t>(bytes, region_count_at);
  if (header.version != 1 && header.version != log_version) {
    header.kind = LogHeaderKind::unsupported;
    header.region_count = 0;
  } else if (header.region_count > safe_integer_max) {
    // No log was ever that large: the header is damaged, and all of it out of sync is the safe reading.
    return LogHeader{};
  } else {
    header.kind = LogHeaderKind::valid;
  }
  return header;
}

bool encode_log_session(const LogSession& session, std::span<uint8_t, log_session_bytes> into) noexcept {
  if (session.writer_epoch > safe_integer_max || session.resume_count > safe_integer_max) return false;
  std::fill(into.begin(), into.end(), uint8_t{0});
  std::copy(session_magic.begin(), session_magic.end(), into.begin());
  store_le<uint64_t>(into, epoch_at, session.writer_epoch);
  store_le<uint64_t>(into, resume_count_at, session.resume_count);
  store_le<uint32_t>(into, flags_at, session.closed ? flag_closed : 0);
  store_le<uint32_t>(into, region_size_at, session.region_size_sectors);
  if (!store_text(into.subspan(uuid_at, uuid_bytes_max), session.uuid)) return false;
  if (!store_text(into.subspan(boot_id_at, boot_id_bytes_max), session.boot_id)) return false;
  if (!store_text(into.subspan(node_name_at, node_name_bytes_max), session.node_name)) return false;
  store_le<uint32_t>(into, checksum_at, crc32c(into.first(checksum_at)));
  return true;
}

std::optional<LogSession> decode_log_session(std::span<const uint8_t> bytes) {
  if (bytes.size() < log_session_bytes) return std::nullopt;
  bytes = bytes.first(log_session_bytes);
  if (!std::equal(session_magic.begin(), session_magic.end(), bytes.begin())) return std::nullopt;
  if (load_le<uint32_t>(bytes, checksum_at) != crc32c(bytes.first(checksum_at))) return std::nullopt;

  LogSession session;
  session.writer_epoch = load_le<uint64_t>(bytes, epoch_at);
  session.resume_count = load_le<uint64_t>(bytes, resume_count_at);
  session.region_size_sectors = load_le<uint32_t>(bytes, region_size_at);
  const uint32_t flags = load_le<uint32_t>(bytes, flags_at);
  const auto uuid = load_text(bytes.subspan(uuid_at, uuid_bytes_max));
  const auto boot_id = load_text(bytes.subspan(boot_id_at, boot_id_bytes_max));
  const auto node_name = load_text(bytes.subspan(node_name_at, node_name_bytes_max));
  if (session.writer_epoch > safe_integer_max || session.resume_count > safe_integer_max) return std::nullopt;
  if ((flags & ~flag_closed) != 0) return std::nullopt;
  if (!uuid || !boot_id || !node_name) return std::nullopt;
  if (!all_zero(bytes.subspan(rest_at, checksum_at - rest_at))) return std::nullopt;
  session.closed = (flags & flag_closed) != 0;
  session.uuid = *uuid;
  session.boot_id = *boot_id;
  session.node_name = *node_name;
  return session;
}

}  // namespace lockstep
