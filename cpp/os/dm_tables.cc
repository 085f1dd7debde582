#include "os/dm_tables.h"

#include <linux/dm-ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string_view>

#include "core/bytes.h"
#include "core/limits.h"

namespace lockstep {
namespace {

/// Text up to its NUL, or nothing when none comes.
std::optional<std::string_view> text_at(std::span<const uint8_t> bytes) {
  const auto end = std::find(bytes.begin(), bytes.end(), uint8_t{0});
  if (end == bytes.end()) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(bytes.data()),
                          static_cast<size_t>(end - bytes.begin()));
}

std::string_view next_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  return word;
}

/// Adds what "userspace <count> <uuid> ..." names; other logs name nothing of ours.
bool parse_mirror(std::string_view parameters, std::vector<std::string>& uuids) {
  if (next_word(parameters) != "userspace") return true;
  const std::string_view count = next_word(parameters);
  const std::string_view uuid = next_word(parameters);
  const bool number = !count.empty() && count.find_first_not_of("0123456789") == std::string_view::npos;
  if (!number || uuid.empty() || uuid.size() > uuid_bytes_max) return false;
  uuids.emplace_back(uuid);
  return true;
}

int read_table(DmControl& control, uint64_t device, uint32_t slot, std::vector<std::string>& uuids) {
  // NOFLUSH: some targets would write something back before they answer.
  const int error = control.ask(DM_TABLE_STATUS, device, DM_STATUS_TABLE_FLAG | DM_NOFLUSH_FLAG | slot);
  // Removed since it was listed.
  if (error == ENXIO) return 0;
  if (error != 0) return error;
  const auto data = control.data();
  return data && parse_dm_table(*data, control.head().target_count, uuids) ? 0 : EPROTO;
}

}  // namespace

bool parse_dm_devices(std::span<const uint8_t> data, std::vector<uint64_t>& devices) {
  constexpr size_t name_at = offsetof(dm_name_list, name);
  // Without any device the kernel's answer ends where the list would begin.
  if (data.empty()) return true;
  for (size_t at = 0;;) {
    if (data.size() - at < name_at) return false;
    const auto entry = data.subspan(at);
    const auto device = load_le<uint64_t>(entry, offsetof(dm_name_list, dev));
    const auto next = load_le<uint32_t>(entry, offsetof(dm_name_list, next));
    // An empty list may be one entry of zeros as well.
    if (device == 0) return at == 0 && next == 0;
    if (!text_at(entry.subspan(name_at))) return false;
    devices.push_back(device);
    if (next == 0) return true;
    if (next < name_at || next > data.size() - at) return false;
    at += next;
  }
}

bool parse_dm_table(std::span<const uint8_t> data, uint32_t target_count, std::vector<std::string>& uuids) {
  constexpr size_t head = sizeof(dm_target_spec);
  size_t at = 0;
  for (uint32_t index = 0; index < target_count; index++) {
    if (at > data.size() || data.size() - at < head) return false;
    const auto entry = data.subspan(at);
    const auto type = text_at(entry.subspan(offsetof(dm_target_spec, target_type), DM_MAX_TYPE_NAME));
    const auto parameters = text_at(entry.subspan(head));
    if (!type || !parameters) return false;
    if (*type == "mirror" && !parse_mirror(*parameters, uuids)) return false;
    // Counted from the first target, and it must go on.
    const auto next = load_le<uint32_t>(entry, offsetof(dm_target_spec, next));
    if (index + 1 < target_count && next < at + head) return false;
    at = next;
  }
  return true;
}

int list_dm_devices(DmControl& control, std::vector<uint64_t>& devices) {
  if (const int error = control.ask(DM_LIST_DEVICES, 0, 0); error != 0) return error;
  const auto data = control.data();
  return data && parse_dm_devices(*data, devices) ? 0 : EPROTO;
}

int read_mirror_log_uuids(std::vector<std::string>& uuids) {
  uuids.clear();
  DmControl control;
  if (const int error = control.open(); error != 0) return error;
  std::vector<uint64_t> devices;
  if (const int error = list_dm_devices(control, devices); error != 0) return error;
  for (const uint64_t device : devices) {
    // The loaded one first: one that becomes live in between is then seen twice and not missed.
    if (const int error = read_table(control, device, DM_QUERY_INACTIVE_TABLE_FLAG, uuids); error != 0)
      return error;
    if (const int error = read_table(control, device, 0, uuids); error != 0) return error;
  }
  std::sort(uuids.begin(), uuids.end());
  uuids.erase(std::unique(uuids.begin(), uuids.end()), uuids.end());
  return 0;
}

int find_mirror_device(DmControl& control, const std::string& uuid, uint64_t& device) {
  std::vector<uint64_t> devices;
  if (const int error = list_dm_devices(control, devices); error != 0) return error;
  for (const uint64_t candidate : devices) {
    std::vector<std::string> uuids;
    if (const int error = read_table(control, candidate, 0, uuids); error != 0) return error;
    if (std::find(uuids.begin(), uuids.end(), uuid) == uuids.end()) continue;
    device = candidate;
    return 0;
  }
  return ENXIO;
}

}  // namespace lockstep
