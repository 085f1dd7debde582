// The kernel's answers about device-mapper tables: raw bytes as a list of devices and as a table, and tables
// made of the input that it then damages. What is accepted names uuids that fit; what is well formed is
// accepted.
#include <linux/dm-ioctl.h>

#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/limits.h"
#include "fuzz/fuzz_support.h"
#include "os/dm_tables.h"

using namespace lockstep;
using lockstep::fuzz::Input;

namespace {

void check_table(const std::vector<uint8_t>& data, uint32_t target_count) {
  std::vector<std::string> uuids;
  if (!parse_dm_table(data, target_count, uuids)) return;
  LOCKSTEP_ASSERT(uuids.size() <= target_count);
  for (const std::string& uuid : uuids) LOCKSTEP_ASSERT(!uuid.empty() && uuid.size() <= uuid_bytes_max);
}

void check_devices(const std::vector<uint8_t>& data) {
  std::vector<uint64_t> devices;
  if (!parse_dm_devices(data, devices)) return;
  LOCKSTEP_ASSERT(devices.size() <= data.size() / offsetof(dm_name_list, name));
  for (const uint64_t device : devices) LOCKSTEP_ASSERT(device != 0);
}

/// Puts one target behind the others, its parameters ended and padded as the kernel does it.
void add_target(std::vector<uint8_t>& table, std::string_view type, std::string_view parameters) {
  const size_t at = table.size();
  const size_t end = (at + sizeof(dm_target_spec) + parameters.size() + 1 + 7) / 8 * 8;
  table.resize(end);
  const std::span<uint8_t> target = std::span(table).subspan(at);
  store_le<uint32_t>(target, offsetof(dm_target_spec, next), static_cast<uint32_t>(end));
  std::copy(type.begin(), type.end(), target.begin() + offsetof(dm_target_spec, target_type));
  std::copy(parameters.begin(), parameters.end(), target.begin() + sizeof(dm_target_spec));
}

void check_made(Input input) {
  std::vector<uint8_t> table;
  const uint32_t target_count = static_cast<uint32_t>(input.below(6));
  std::vector<std::string> expected;
  for (uint32_t i = 0; i < target_count; i++) {
    const bool mirror = input.below(2) == 1;
    std::string uuid(input.take_text(1 + input.below(uuid_bytes_max)));
    std::erase(uuid, ' ');
    if (!mirror || uuid.empty()) {
      add_target(table, "linear", "8:16 0");
      continue;
    }
    add_target(table, "mirror", "userspace 4 " + uuid + " clustered-core 1024 nosync 2 8:0 0 8:16 0");
    expected.push_back(uuid);
  }
  std::vector<std::string> uuids;
  LOCKSTEP_ASSERT(parse_dm_table(table, target_count, uuids) && uuids == expected);
  while (!input.empty() && !table.empty()) {
    table[input.take<uint16_t>() % table.size()] = input.take<uint8_t>();
    check_table(table, target_count);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  Input input(data, size);
  const uint8_t mode = input.take<uint8_t>() % 4;
  if (mode >= 2) {
    check_made(input);
    return 0;
  }
  const uint32_t target_count = mode == 0 ? input.take<uint8_t>() : 0;
  const auto raw = input.take_bytes(size);
  const std::vector<uint8_t> bytes(raw.begin(), raw.end());
  if (mode == 0)
    check_table(bytes, target_count);
  else
    check_devices(bytes);
  return 0;
}
