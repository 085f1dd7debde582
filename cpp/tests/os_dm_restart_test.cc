// R11 against a device-mapper that answers from a script: which requests it gets, and what a restart leaves
// alone.
#include "os/dm_restart.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "core/bytes.h"

using namespace lockstep;
using namespace std::chrono_literals;

namespace {

constexpr uint64_t device_number = 0xFD03;

/// One device with a live mirror table, as the kernel would answer for it.
struct Mapper {
  bool present = true;
  bool suspended = false;
  bool inactive = false;
  int suspend_error = 0;
  /// Another's suspend has ended by the time that one is refused.
  bool suspended_at_suspend = false;
  int resume_error = 0;
  /// Somebody loads a table as soon as the device is suspended.
  bool load_when_suspended = false;
  std::string uuid = "LVM-abc";
  std::vector<std::string> changes;

  DmControl control() {
    return DmControl([this](unsigned long request, dm_ioctl* buffer) { return answer(request, *buffer); });
  }

  int answer(unsigned long request, dm_ioctl& buffer) {
    const std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(&buffer), buffer.data_size);
    if (request == DM_LIST_DEVICES) return list(bytes);
    if (!present || buffer.dev != device_number) return ENXIO;
    if (request == DM_TABLE_STATUS) return table(bytes);
    if (request == DM_DEV_SUSPEND) {
      const int error = change(buffer.flags);
      if (error != 0) return error;
    }
    buffer.flags = (suspended ? DM_SUSPEND_FLAG : 0u) | (inactive ? DM_INACTIVE_PRESENT_FLAG : 0u);
    return 0;
  }

  int change(uint32_t flags) {
    const bool suspends = (flags & DM_SUSPEND_FLAG) != 0;
    // Whatever lies behind the mirror must not be waited for.
    CHECK((flags & (DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG)) == (DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG));
    const int error = suspends ? suspend_error : resume_error;
    changes.emplace_back(suspends ? "suspend" : "resume");
    if (error != 0) {
      suspended = suspended || suspended_at_suspend;
      return error;
    }
    suspended = suspends;
    if (suspends && load_when_suspended) inactive = true;
    if (!suspends) inactive = false;
    return 0;
  }

  int list(std::span<uint8_t> bytes) const {
    const size_t at = sizeof(dm_ioctl);
    const size_t end = at + offsetof(dm_name_list, name) + 8;
    if (present) store_le<uint64_t>(bytes, at, device_number);
    store_le<uint32_t>(bytes, offsetof(dm_ioctl, data_size), static_cast<uint32_t>(end));
    return 0;
  }

  int table(std::span<uint8_t> bytes) const {
    const std::string text = "userspace 3 " + uuid + " clustered-core 1024 2 8:0 0 8:16 0";
    const size_t at = sizeof(dm_ioctl);
    std::memcpy(bytes.data() + at + offsetof(dm_target_spec, target_type), "mirror", 6);
    std::memcpy(bytes.data() + at + sizeof(dm_target_spec), text.data(), text.size());
    const size_t end = at + sizeof(dm_target_spec) + text.size() + 1;
    store_le<uint32_t>(bytes, offsetof(dm_ioctl, data_size), static_cast<uint32_t>(end));
    store_le<uint32_t>(bytes, offsetof(dm_ioctl, target_count), 1);
    return 0;
  }
};

using Changes = std::vector<std::string>;

}  // namespace

TEST_CASE("restart of recovery: suspends and resumes the device that has the log") {
  Mapper mapper;
  DmControl control = mapper.control();
  RecoveryRestart restart("LVM-abc", false);
  CHECK_FALSE(restart.step(control).has_value());
  CHECK(restart.outcome() == RestartOutcome::restarted);
  CHECK(mapper.changes == Changes{"suspend", "resume"});
  CHECK_FALSE(mapper.suspended);
}

TEST_CASE("restart of recovery: leaves alone what others are at") {
  Mapper mapper;
  DmControl control = mapper.control();
  const auto outcome_of = [&](const char* uuid) {
    RecoveryRestart restart(uuid, false);
    CHECK_FALSE(restart.step(control).has_value());
    CHECK(restart.error() == 0);
    return restart.outcome();
  };
  mapper.inactive = true;
  CHECK(outcome_of("LVM-abc") == RestartOutcome::inactive_table);
  mapper.suspended = true;
  CHECK(outcome_of("LVM-abc") == RestartOutcome::inactive_table);
  mapper.inactive = false;
  CHECK(outcome_of("LVM-abc") == RestartOutcome::suspended);
  CHECK(outcome_of("LVM-ab") == RestartOutcome::absent);
  mapper.present = false;
  CHECK(outcome_of("LVM-abc") == RestartOutcome::absent);
  CHECK(mapper.changes.empty());
}

TEST_CASE("restart of recovery: a table loaded meanwhile is never made live") {
  Mapper mapper;
  mapper.load_when_suspended = true;
  DmControl control = mapper.control();
  RecoveryRestart restart("LVM-abc", false);
  CHECK(restart.step(control) == 100ms);
  CHECK(restart.step(control) == 100ms);
  CHECK(mapper.changes == Changes{"suspend"});
  SUBCASE("its loader resumes") { mapper.suspended = false; }
  SUBCASE("it is cleared") { mapper.inactive = false; }
  CHECK_FALSE(restart.step(control).has_value());
  CHECK(restart.outcome() == RestartOutcome::restarted);
  CHECK_FALSE(mapper.suspended);
}

TEST_CASE(
    "restart of recovery: what an earlier daemon has begun is done again; left suspended, it is resumed") {
  Mapper mapper;
  DmControl control = mapper.control();
  RecoveryRestart well("LVM-abc", true);
  CHECK_FALSE(well.step(control).has_value());
  CHECK(mapper.changes == Changes{"suspend", "resume"});
  mapper.changes.clear();
  mapper.suspended = true;
  RecoveryRestart left("LVM-abc", true);
  CHECK_FALSE(left.step(control).has_value());
  CHECK(mapper.changes == Changes{"resume"});
}

TEST_CASE("restart of recovery: a suspend of the one before that ends meanwhile is resumed, too") {
  Mapper mapper;
  DmControl control = mapper.control();
  mapper.suspend_error = EINVAL;
  RecoveryRestart refused("LVM-abc", false);
  CHECK_FALSE(refused.step(control).has_value());
  CHECK(refused.error() == EINVAL);
  RecoveryRestart again("LVM-abc", true);
  mapper.suspended_at_suspend = true;
  CHECK_FALSE(again.step(control).has_value());
  CHECK(again.outcome() == RestartOutcome::restarted);
  CHECK_FALSE(mapper.suspended);
  // As after a step that was broken off: it is ours then.
  mapper.suspended = true;
  RecoveryRestart broken("LVM-abc", false);
  broken.broken_off();
  CHECK_FALSE(broken.step(control).has_value());
  CHECK_FALSE(mapper.suspended);
}

TEST_CASE("restart of recovery: errors") {
  Mapper mapper;
  DmControl control = mapper.control();
  mapper.suspend_error = EBUSY;
  RecoveryRestart refused("LVM-abc", false);
  CHECK_FALSE(refused.step(control).has_value());
  CHECK(refused.error() == EBUSY);
  // Suspended by us it must not stay.
  mapper.suspend_error = 0;
  mapper.resume_error = ENOMEM;
  RecoveryRestart stuck("LVM-abc", false);
  CHECK(stuck.step(control) == 100ms);
  mapper.resume_error = 0;
  CHECK_FALSE(stuck.step(control).has_value());
  CHECK(stuck.error() == 0);
  CHECK_FALSE(mapper.suspended);
}
