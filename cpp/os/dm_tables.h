// Which userspace dirty logs the kernel's device-mapper tables name: the uuids in the mirror targets of every
// device, in the table that is live and in the one that is loaded behind it.
//
// It reads and changes nothing. Calls may block as long as somebody holds device-mapper's locks, so they are
// made on a thread that serves nothing else. An answer that does not make sense is an error and never a
// shorter list.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "os/dm_control.h"

namespace lockstep {

/// The uuids, sorted, each once. 0 or an errno: ENOENT without device-mapper, EACCES for users who may not
/// ask, EPROTO for an answer that makes no sense.
[[nodiscard]] int read_mirror_log_uuids(std::vector<std::string>& uuids);

/// The device whose live table has a mirror target with this log, as the kernel encodes its number. 0 or an
/// errno: ENXIO when there is none.
[[nodiscard]] int find_mirror_device(DmControl& control, const std::string& uuid, uint64_t& device);

// The answers taken apart; false when they make no sense.

/// The data of DM_LIST_DEVICES: device numbers as the kernel encodes them.
[[nodiscard]] bool parse_dm_devices(std::span<const uint8_t> data, std::vector<uint64_t>& devices);
/// The data of DM_TABLE_STATUS with DM_STATUS_TABLE_FLAG: adds the uuids that its mirror targets name.
[[nodiscard]] bool parse_dm_table(std::span<const uint8_t> data, uint32_t target_count,
                                  std::vector<std::string>& uuids);

}  // namespace lockstep
