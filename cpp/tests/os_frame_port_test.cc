// The connector socket as far as a host without the kernel module goes (needs CAP_NET_ADMIN), and what
// TypeScript cannot see of local sockets.
#include <doctest/doctest.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "os/frame_port.h"
#include "tests/os_support.h"
#include "tests/request_frame.h"

using namespace lockstep;

namespace {

/// A sound request frame.
size_t make_frame(std::span<uint8_t> into, uint32_t seq) {
  const auto bytes = test::RequestFrame{.uuid = "u", .seq = seq, .request_type = DM_ULOG_IN_SYNC}.bytes();
  std::copy(bytes.begin(), bytes.end(), into.begin());
  return bytes.size();
}

}  // namespace

TEST_CASE("frame port: frames from other processes on the connector are foreign, however many") {
  std::unique_ptr<FramePort> port;
  const int error = FramePort::open_connector(4096, port);
  if (error != 0) {
    MESSAGE("left out: ", std::strerror(error));
    return;
  }
  const Fd other(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, 11));
  sockaddr_nl group = {};
  group.nl_family = AF_NETLINK;
  group.nl_groups = 1U << 6;
  std::array<uint8_t, frame_bytes_max> bytes{};
  const size_t length = make_frame(bytes, 1);
  uint64_t sent = 0;
  for (int count = 0; count < 500; count++) {
    // Once the receive buffer is full the rest is lost, which is the kernel's to notice.
    if (sendto(other.get(), bytes.data(), length, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&group),
               sizeof(group)) > 0) {
      sent++;
    }
  }
  CHECK(port->drain() == 0);
  CHECK(!port->peer_ended());
  if (sent > 0) CHECK(port->counters().foreign > 0);
  CHECK(port->counters().received == 0);
  // Empty again, and still open.
  CHECK(port->drain() == 0);
}

TEST_CASE("frame port: a drain fills all slots and no more") {
  const test::Folder folder;
  std::unique_ptr<FramePort> server;
  std::unique_ptr<FramePort> client;
  REQUIRE(FramePort::listen(folder.file("s"), server) == 0);
  REQUIRE(FramePort::connect(folder.file("s"), client) == 0);
  server->adopt(server->accept_newest());
  // Every third frame is thrown away, so that kept ones move down.
  uint32_t seq = 0;
  for (int batch = 0; batch < 2; batch++) {
    for (size_t slot = 0; slot < 200; slot++, seq++) {
      const std::span<uint8_t> into(client->out().slot(slot), frame_bytes_max);
      client->out().lengths[slot] = static_cast<int32_t>(make_frame(into, seq));
      if (seq % 3 == 2) into[16] = 9;
    }
    REQUIRE(client->send(200) == 0);
  }
  std::vector<uint32_t> seen;
  for (uint32_t count = server->drain(); count > 0; count = server->drain()) {
    CHECK(count <= frame_slot_count);
    for (uint32_t slot = 0; slot < count; slot++) {
      uint32_t value = 0;
      std::memcpy(&value, server->in().slot(slot) + request_offset + 148, sizeof(value));
      seen.push_back(value);
    }
  }
  REQUIRE(seen.size() == 267);
  for (size_t index = 0; index < seen.size(); index++) CHECK(seen[index] == index / 2 * 3 + index % 2);
  CHECK(server->counters().foreign == 133);
}

TEST_CASE("frame port: a datagram longer than a slot is dropped whole") {
  const test::Folder folder;
  std::unique_ptr<FramePort> server;
  std::unique_ptr<FramePort> client;
  REQUIRE(FramePort::listen(folder.file("s"), server) == 0);
  REQUIRE(FramePort::connect(folder.file("s"), client) == 0);
  server->adopt(server->accept_newest());
  std::array<uint8_t, frame_bytes_max + 1> bytes{};
  REQUIRE(::send(client->peer_fd(), bytes.data(), bytes.size(), 0) > 0);
  CHECK(server->drain() == 0);
  CHECK(server->counters().truncated == 1);
  client.reset();
  CHECK(server->drain() == 0);
  CHECK(server->peer_ended());
  server->drop_peer();
  CHECK(!server->accept_newest().valid());
}

TEST_CASE("frame port: the newest of several waiting clients comes in") {
  const test::Folder folder;
  std::unique_ptr<FramePort> server;
  REQUIRE(FramePort::listen(folder.file("s"), server) == 0);
  std::array<std::unique_ptr<FramePort>, 3> clients;
  for (auto& client : clients) REQUIRE(FramePort::connect(folder.file("s"), client) == 0);
  server->adopt(server->accept_newest());
  CHECK(server->counters().accepted == 3);
  clients[0]->check_ended();
  clients[2]->check_ended();
  CHECK((clients[0]->peer_ended() && !clients[2]->peer_ended()));
  // Two ports listening on one path: the second is refused, and the first keeps its file.
  std::unique_ptr<FramePort> second;
  CHECK(FramePort::listen(folder.file("s"), second) == EADDRINUSE);
}
