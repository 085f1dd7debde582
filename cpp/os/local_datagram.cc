#include "os/local_datagram.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "os/fd.h"

namespace lockstep {

int send_local_datagram(std::string_view address, std::string_view text, DatagramWait wait) noexcept {
  sockaddr_un socket_address = {};
  socket_address.sun_family = AF_UNIX;
  if (address.size() < 2 || address.size() >= sizeof(socket_address.sun_path)) return EINVAL;
  if (address.front() != '/' && address.front() != '@') return EAFNOSUPPORT;
  std::memcpy(socket_address.sun_path, address.data(), address.size());
  // An abstract name starts with a NUL and ends where the length says.
  if (address.front() == '@') socket_address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  const Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno;
  const int flags = MSG_NOSIGNAL | (wait == DatagramWait::never ? MSG_DONTWAIT : 0);
  ssize_t sent = 0;
  do {
    sent = sendto(fd.get(), text.data(), text.size(), flags,
                  reinterpret_cast<const sockaddr*>(&socket_address), length);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

}  // namespace lockstep
