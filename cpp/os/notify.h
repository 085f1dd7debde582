// The readiness datagram of systemd's sd_notify protocol, without its library.
#pragma once

#include <string_view>

namespace lockstep {

/// Sends `text` to the socket at `address`: a path, or `@name` for an abstract one. 0 or an errno.
[[nodiscard]] int send_notification(std::string_view address, std::string_view text) noexcept;

}  // namespace lockstep
