// Answers of device-mapper: what mirror targets name, and a table of answers that make no sense.
#include "os/dm_tables.h"

#include <doctest/doctest.h>
#include <linux/dm-ioctl.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "core/bytes.h"

using namespace lockstep;

namespace {

using Bytes = std::vector<uint8_t>;

struct Target {
  std::string type;
  std::string parameters;
};

/// As the kernel writes it: each entry says where the next begins, counted from the first.
Bytes table_of(const std::vector<Target>& targets) {
  Bytes data;
  for (const Target& target : targets) {
    const size_t at = data.size();
    data.resize((at + sizeof(dm_target_spec) + target.parameters.size() + 1 + 7) / 8 * 8);
    std::memcpy(data.data() + at + offsetof(dm_target_spec, target_type), target.type.data(),
                target.type.size());
    std::memcpy(data.data() + at + sizeof(dm_target_spec), target.parameters.data(),
                target.parameters.size());
    store_le<uint32_t>(data, at + offsetof(dm_target_spec, next), static_cast<uint32_t>(data.size()));
  }
  return data;
}

std::vector<std::string> uuids_of(const std::vector<Target>& targets) {
  std::vector<std::string> uuids;
  CHECK(parse_dm_table(table_of(targets), static_cast<uint32_t>(targets.size()), uuids));
  return uuids;
}

Bytes devices_of(const std::vector<uint64_t>& devices) {
  Bytes data;
  for (size_t index = 0; index < devices.size(); index++) {
    const size_t at = data.size();
    const std::string name = "device-" + std::to_string(index);
    const size_t bytes = (offsetof(dm_name_list, name) + name.size() + 1 + 7) / 8 * 8 + 16;
    data.resize(at + bytes);
    store_le<uint64_t>(data, at, devices[index]);
    store_le<uint32_t>(data, at + 8, index + 1 < devices.size() ? static_cast<uint32_t>(bytes) : 0);
    std::memcpy(data.data() + at + offsetof(dm_name_list, name), name.data(), name.size());
  }
  return data;
}

/// A buffer of 4 KiB with a header that says where its data begins and ends.
Bytes answer_of(uint32_t start, uint32_t end) {
  Bytes answer(4096);
  store_le<uint32_t>(answer, offsetof(dm_ioctl, data_start), start);
  store_le<uint32_t>(answer, offsetof(dm_ioctl, data_size), end);
  return answer;
}

const std::string mirror_text =
    "userspace 4 LVM-abc clustered-disk 253:3 1024 2 253:4 0 253:5 0 1 handle_errors";

}  // namespace

TEST_CASE("dm tables: mirror targets with a userspace log name it, everything else names nothing") {
  using Names = std::vector<std::string>;
  CHECK(uuids_of({}) == Names{});
  CHECK(uuids_of({{"mirror", mirror_text}}) == Names{"LVM-abc"});
  CHECK(uuids_of({{"linear", "253:1 0"}, {"mirror", mirror_text}, {"error", ""}}) == Names{"LVM-abc"});
  CHECK(uuids_of({{"mirror", "userspace 5 u1 integrated_flush clustered-core 1024 2 8:1 0 8:2 0"},
                  {"mirror", "userspace 3 u2 clustered-core 1024 2 8:1 0 8:2 0"}}) == Names{"u1", "u2"});
  CHECK(uuids_of({{"mirror", "core 1 1024 2 8:1 0 8:2 0"}, {"mirror", ""}}) == Names{});
  CHECK(uuids_of({{"linear", "userspace 3 not-a-mirror"}}) == Names{});
  CHECK(uuids_of({{"mirror", "userspace 3 " + std::string(128, 'u') + " clustered-core 8"}}).size() == 1);
}

TEST_CASE("dm tables: a table that makes no sense is refused") {
  std::vector<std::string> uuids;
  for (const char* text :
       {"userspace", "userspace 3", "userspace 3 ", "userspace x uuid", "userspace -1 uuid"}) {
    CHECK_FALSE(parse_dm_table(table_of({{"mirror", text}}), 1, uuids));
  }
  CHECK_FALSE(parse_dm_table(table_of({{"mirror", "userspace 3 " + std::string(129, 'u')}}), 1, uuids));

  const Bytes one = table_of({{"mirror", mirror_text}});
  CHECK_FALSE(parse_dm_table({}, 1, uuids));
  CHECK_FALSE(parse_dm_table(one, 2, uuids));
  for (size_t bytes = 0; bytes < sizeof(dm_target_spec) + mirror_text.size(); bytes++) {
    CHECK_FALSE(parse_dm_table(std::span(one).first(bytes), 1, uuids));
  }
  // A next target that lies before, inside or past.
  for (const uint32_t next : {0u, 8u, 39u, 1u << 30, UINT32_MAX}) {
    Bytes two = table_of({{"mirror", mirror_text}, {"mirror", mirror_text}});
    store_le<uint32_t>(two, offsetof(dm_target_spec, next), next);
    CHECK_FALSE(parse_dm_table(two, 2, uuids));
  }
  Bytes endless = one;
  std::fill(endless.begin() + offsetof(dm_target_spec, target_type), endless.begin() + sizeof(dm_target_spec),
            'x');
  CHECK_FALSE(parse_dm_table(endless, 1, uuids));
  CHECK(uuids.empty() == false);
}

TEST_CASE("dm tables: the list of devices") {
  std::vector<uint64_t> devices;
  CHECK(parse_dm_devices(Bytes(64), devices));
  CHECK(devices.empty());
  CHECK(parse_dm_devices(devices_of({0xFD00, 0xFD01, 0x10FD02}), devices));
  CHECK(devices == std::vector<uint64_t>{0xFD00, 0xFD01, 0x10FD02});
}

TEST_CASE("dm tables: a host without any device") {
  // The kernel gives back the whole buffer with a header that says: nothing behind it.
  const Bytes answer = answer_of(sizeof(dm_ioctl), sizeof(dm_ioctl));
  const auto data = dm_answer_data(answer);
  REQUIRE(data.has_value());
  CHECK(data->empty());
  std::vector<uint64_t> devices;
  CHECK(parse_dm_devices(*data, devices));
  CHECK(devices.empty());
}

TEST_CASE("dm tables: a device without the table that was asked for") {
  // As the kernel answers: the size of the header without the bytes that pad it.
  const auto data = dm_answer_data(answer_of(sizeof(dm_ioctl), offsetof(dm_ioctl, data)));
  REQUIRE(data.has_value());
  CHECK(data->empty());
  std::vector<std::string> uuids;
  CHECK(parse_dm_table(*data, 0, uuids));
  CHECK_FALSE(parse_dm_table(*data, 1, uuids));
}

TEST_CASE("dm tables: an answer's data lies where its header says, inside what was read") {
  const uint32_t head = sizeof(dm_ioctl);
  CHECK(dm_answer_data(answer_of(head, head + 64))->size() == 64);
  CHECK(dm_answer_data(answer_of(head + 8, 4096))->size() == 4096 - head - 8);
  CHECK_FALSE(dm_answer_data(answer_of(head - 1, head + 1)).has_value());
  CHECK_FALSE(dm_answer_data(answer_of(head + 9, head + 8)).has_value());
  CHECK_FALSE(dm_answer_data(answer_of(head, 4097)).has_value());
  CHECK_FALSE(dm_answer_data(answer_of(0, 0)).has_value());
  CHECK_FALSE(dm_answer_data(answer_of(UINT32_MAX, UINT32_MAX)).has_value());
  CHECK_FALSE(dm_answer_data(Bytes(head - 1)).has_value());
}

TEST_CASE("dm tables: a list of devices that makes no sense is refused") {
  std::vector<uint64_t> devices;
  CHECK_FALSE(parse_dm_devices(Bytes(1), devices));
  CHECK_FALSE(parse_dm_devices(Bytes(11), devices));
  for (const uint32_t next : {1u, 11u, 4096u, UINT32_MAX}) {
    Bytes data = devices_of({0xFD00, 0xFD01});
    store_le<uint32_t>(data, 8, next);
    CHECK_FALSE(parse_dm_devices(data, devices));
  }
  Bytes nameless = devices_of({0xFD00});
  std::fill(nameless.begin() + offsetof(dm_name_list, name), nameless.end(), 'x');
  CHECK_FALSE(parse_dm_devices(nameless, devices));
  // A device without a number behind others.
  CHECK_FALSE(parse_dm_devices(devices_of({0xFD00, 0}), devices));
}

TEST_CASE("dm tables: this host's own, where they can be asked for") {
  std::vector<std::string> uuids;
  const int error = read_mirror_log_uuids(uuids);
  CHECK((error == 0 || error == ENOENT || error == ENODEV || error == EACCES || error == EPERM ||
         error == ENXIO));
}
