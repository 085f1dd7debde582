// One datagram to a local socket by name: systemd's readiness socket, the system log's. It keeps no socket,
// so a log daemon that was restarted is met again by the next line.
#pragma once

#include <string_view>

namespace lockstep {

enum class DatagramWait {
  /// A full queue is waited for.
  until_sent,
  /// A full queue is EAGAIN: what must not wait for whoever reads the socket.
  never,
};

/// Sends `text` to the socket at `address`: a path, or `@name` for an abstract one. 0 or an errno.
[[nodiscard]] int send_local_datagram(std::string_view address, std::string_view text,
                                      DatagramWait wait) noexcept;

}  // namespace lockstep
