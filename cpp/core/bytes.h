// Little-endian fields of records, and NUL-padded texts in fixed room. For every record of this project that
// has its own encoding (disk, state file, wire); nothing here knows any of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "core/limits.h"

namespace lockstep {

/// Reads an unsigned integer at any alignment. The host is little-endian (asserted in limits.h).
template <typename T>
[[nodiscard]] inline T load_le(std::span<const uint8_t> bytes, size_t offset) noexcept {
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof(T)).data(), sizeof(T));
  return value;
}

template <typename T>
inline void store_le(std::span<uint8_t> bytes, size_t offset, T value) noexcept {
  std::memcpy(bytes.subspan(offset, sizeof(T)).data(), &value, sizeof(T));
}

[[nodiscard]] inline bool all_zero(std::span<const uint8_t> bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

/// The text in `room`: up to its first NUL or the end; nothing when anything but NUL follows that NUL.
[[nodiscard]] inline std::optional<std::string_view> load_text(std::span<const uint8_t> room) noexcept {
  const auto end = std::find(room.begin(), room.end(), uint8_t{0});
  const size_t length = static_cast<size_t>(end - room.begin());
  if (!all_zero(room.subspan(length))) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(room.data()), length);
}

/// Writes the text and pads with NUL. False when it does not fit or has a NUL in it.
[[nodiscard]] inline bool store_text(std::span<uint8_t> room, std::string_view text) noexcept {
  if (text.size() > room.size() || text.find('\0') != std::string_view::npos) return false;
  std::copy(text.begin(), text.end(), room.begin());
  std::fill(room.begin() + static_cast<ptrdiff_t>(text.size()), room.end(), uint8_t{0});
  return true;
}

}  // namespace lockstep
