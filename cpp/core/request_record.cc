#include "core/request_record.h"

#include "core/assert.h"
#include "core/bytes.h"
#include "core/checksum.h"
#include "core/limits.h"
#include "core/word_store.h"

namespace lockstep {
namespace {

constexpr uint64_t magic = 0x51525453414C534C;  // "LSLASTRQ"
constexpr size_t magic_at = 0;
constexpr size_t boot_id_at = 8;
constexpr size_t checksum_at = boot_id_at + boot_id_bytes_max;
constexpr size_t word_at = 80;
constexpr uint64_t known = uint64_t{1} << 32;

static_assert(checksum_at + sizeof(uint32_t) <= word_at && word_at % sizeof(uint64_t) == 0);

}  // namespace

bool RequestRecord::create(std::span<uint8_t> memory, std::string_view boot_id) noexcept {
  LOCKSTEP_ASSERT(memory.size() == bytes);
  store_le<uint64_t>(memory, magic_at, magic);
  if (!store_text(memory.subspan(boot_id_at, boot_id_bytes_max), boot_id)) return false;
  store_le<uint32_t>(memory, checksum_at, crc32c(memory.first(checksum_at)));
  return true;
}

bool RequestRecord::valid(std::span<const uint8_t> memory, std::string_view boot_id) noexcept {
  if (memory.size() != bytes || load_le<uint64_t>(memory, magic_at) != magic) return false;
  if (load_le<uint32_t>(memory, checksum_at) != crc32c(memory.first(checksum_at))) return false;
  const auto found = load_text(memory.subspan(boot_id_at, boot_id_bytes_max));
  return found && *found == boot_id && load_le<uint64_t>(memory, word_at) < 2 * known;
}

std::optional<uint32_t> RequestRecord::last(std::span<const uint8_t> memory) noexcept {
  LOCKSTEP_ASSERT(memory.size() == bytes);
  const uint64_t word = load_word(*reinterpret_cast<const uint64_t*>(memory.data() + word_at));
  if (word < known) return std::nullopt;
  return static_cast<uint32_t>(word);
}

void RequestRecord::note(std::span<uint8_t> memory, uint32_t seq) noexcept {
  LOCKSTEP_ASSERT(memory.size() == bytes);
  store_word(*reinterpret_cast<uint64_t*>(memory.data() + word_at), known | seq);
}

}  // namespace lockstep
