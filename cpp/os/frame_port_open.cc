// How frame ports come to be: the connector socket, a listening local socket, a connection to one.
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "os/frame_port.h"

namespace lockstep {
namespace {

constexpr int netlink_connector = 11;
constexpr int connector_group = 7;
constexpr int backlog = 4;

/// The buffer beyond the system's limit when we may, up to the limit otherwise.
void set_receive_buffer(int fd, int bytes) {
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) == 0) return;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/// A local socket's address. A path longer than the address has room for goes through an open folder.
class LocalAddress {
 public:
  [[nodiscard]] int set(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash == 0 ? 1 : slash);
    name_ = slash == std::string::npos ? path : path.substr(slash + 1);
    if (name_.empty()) return EINVAL;
    folder_ = Fd(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder_.valid()) return errno;
    std::string text = path;
    if (text.size() >= sizeof(address_.sun_path)) {
      text = "/proc/self/fd/" + std::to_string(folder_.get()) + "/" + name_;
      if (text.size() >= sizeof(address_.sun_path)) return ENAMETOOLONG;
    }
    address_.sun_family = AF_UNIX;
    std::memcpy(address_.sun_path, text.c_str(), text.size() + 1);
    return 0;
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t length = sizeof(sockaddr_un);
  const char* path() const { return address_.sun_path; }
  const std::string& name() const { return name_; }
  /// Ends the use of `path`.
  Fd take_folder() { return std::move(folder_); }

  /// The folder must be ours and closed to others: what stands in it talks to the daemon as the kernel does.
  [[nodiscard]] int check_folder() const {
    struct stat status = {};
    if (fstat(folder_.get(), &status) != 0) return errno;
    const bool closed_to_others = (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
    return status.st_uid == geteuid() && closed_to_others ? 0 : EACCES;
  }

 private:
  Fd folder_;
  std::string name_;
  sockaddr_un address_ = {};
};

Fd local_socket() { return Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

int connect_to(const LocalAddress& address, const Fd& fd) {
  while (::connect(fd.get(), address.get(), LocalAddress::length) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

/// Binds, over the socket of a listener that is gone.
int bind_to(const LocalAddress& address, const Fd& fd) {
  if (bind(fd.get(), address.get(), LocalAddress::length) == 0) return 0;
  if (errno != EADDRINUSE) return errno;
  struct stat status = {};
  if (lstat(address.path(), &status) != 0 || !S_ISSOCK(status.st_mode)) return EADDRINUSE;
  const Fd probe = local_socket();
  if (!probe.valid()) return errno;
  if (connect_to(address, probe) != ECONNREFUSED) return EADDRINUSE;
  if (unlink(address.path()) != 0 && errno != ENOENT) return errno;
  return bind(fd.get(), address.get(), LocalAddress::length) == 0 ? 0 : errno;
}

}  // namespace

int FramePort::open_connector(int receive_buffer_bytes, std::unique_ptr<FramePort>& into) {
  Fd fd(socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, netlink_connector));
  if (!fd.valid()) return errno;
  // nl_groups is a bit mask of the first 32 groups, and 7 would be groups 1, 2 and 3: join by number instead.
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return errno;
  set_receive_buffer(fd.get(), receive_buffer_bytes);
  // Without it an overrun makes every further request fail until the socket is empty.
  const int on = 1;
  if (setsockopt(fd.get(), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on)) != 0) return errno;
  const int group = connector_group;
  if (setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) return errno;
  // Replies go to the kernel and nowhere else; its datagrams are taken without this too.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return errno;
  std::unique_ptr<FramePort> port(new FramePort(Accept::kernel));
  port->peer_ = std::move(fd);
  into = std::move(port);
  return 0;
}

int FramePort::listen(const std::string& path, std::unique_ptr<FramePort>& into) {
  LocalAddress address;
  if (const int error = address.set(path); error != 0) return error;
  if (const int error = address.check_folder(); error != 0) return error;
  Fd fd = local_socket();
  if (!fd.valid()) return errno;
  if (const int error = bind_to(address, fd); error != 0) return error;
  struct stat status = {};
  if (lstat(address.path(), &status) != 0 || ::listen(fd.get(), backlog) != 0) {
    const int error = errno;
    unlink(address.path());
    return error;
  }
  std::unique_ptr<FramePort> port(new FramePort(Accept::requests));
  port->listener_ = std::move(fd);
  port->folder_ = address.take_folder();
  port->name_ = address.name();
  port->device_ = status.st_dev;
  port->inode_ = status.st_ino;
  into = std::move(port);
  return 0;
}

int FramePort::connect(const std::string& path, std::unique_ptr<FramePort>& into) {
  LocalAddress address;
  if (const int error = address.set(path); error != 0) return error;
  Fd fd = local_socket();
  if (!fd.valid()) return errno;
  if (const int error = connect_to(address, fd); error != 0) return error;
  std::unique_ptr<FramePort> port(new FramePort(Accept::anything));
  port->adopt(std::move(fd));
  into = std::move(port);
  return 0;
}

}  // namespace lockstep
