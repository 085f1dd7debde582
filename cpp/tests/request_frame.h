// A request of the kernel as it puts one on the connector, made of the structures of the kernel's own
// headers, so that what the core believes about offsets is held against them.
#pragma once

#include <linux/connector.h>
#include <linux/dm-log-userspace.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace lockstep::test {

struct RequestFrame {
  uint64_t luid = 0;
  /// Cut to the room there is for it, of which the last byte stays NUL.
  std::string_view uuid;
  uint32_t version = DM_ULOG_REQUEST_VERSION;
  uint32_t seq = 0;
  uint32_t request_type = 0;
  std::span<const uint8_t> data = {};

  /// Exactly as long as the datagram, so that a sanitizer sees whoever reads one byte too far.
  std::vector<uint8_t> bytes() const {
    dm_ulog_request request = {};
    request.luid = luid;
    std::copy_n(uuid.begin(), std::min<size_t>(uuid.size(), DM_UUID_LEN - 1), request.uuid);
    request.version = version;
    request.seq = seq;
    request.request_type = request_type;
    request.data_size = static_cast<uint32_t>(data.size());
    cn_msg message = {};
    message.id = {CN_IDX_DM, CN_VAL_DM_USERSPACE_LOG};
    message.seq = seq;
    message.len = static_cast<uint16_t>(sizeof(request) + data.size());
    nlmsghdr header = {};
    header.nlmsg_len = static_cast<uint32_t>(NLMSG_LENGTH(sizeof(message) + message.len));
    header.nlmsg_type = NLMSG_DONE;
    header.nlmsg_seq = seq;

    std::vector<uint8_t> bytes(header.nlmsg_len);
    uint8_t* at = bytes.data();
    const auto put = [&at](const void* part, size_t length) {
      if (length > 0) std::memcpy(at, part, length);
      at += length;
    };
    put(&header, sizeof(header));
    put(&message, sizeof(message));
    put(&request, sizeof(request));
    put(data.data(), data.size());
    return bytes;
  }
};

}  // namespace lockstep::test
