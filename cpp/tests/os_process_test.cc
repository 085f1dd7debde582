// Pid file, readiness datagram, state folder: what needs a second process or a socket that
// JavaScript has none of.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "os/local_datagram.h"
#include "os/peer.h"
#include "os/pid_file.h"
#include "os/process_memory.h"
#include "os/state_store.h"
#include "tests/os_support.h"

using namespace lockstep;

TEST_CASE("local datagram: reaches a path and an abstract name, and never waits when told so") {
  const test::Folder folder;
  for (const std::string& address : {folder.file("notify"), "@lockstep-test-" + std::to_string(getpid())}) {
    const Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.data(), address.size());
    if (address[0] == '@') name.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), length) == 0);
    CHECK(send_local_datagram(address, "READY=1\nSTATUS=up", DatagramWait::until_sent) == 0);
    std::array<char, 64> text{};
    REQUIRE(recv(fd.get(), text.data(), text.size(), MSG_DONTWAIT) == 17);
    CHECK(std::string(text.data()) == "READY=1\nSTATUS=up");
    // Nobody reads: the queue fills up, and the next line is given up instead of waited for.
    int error = 0;
    for (int sent = 0; sent < 100000 && error == 0; sent++) {
      error = send_local_datagram(address, "line", DatagramWait::never);
    }
    CHECK(error == EAGAIN);
  }
  CHECK(send_local_datagram("", "x", DatagramWait::until_sent) == EINVAL);
  CHECK(send_local_datagram("relative", "x", DatagramWait::until_sent) == EAFNOSUPPORT);
  CHECK(send_local_datagram("/" + std::string(200, 'x'), "x", DatagramWait::until_sent) == EINVAL);
  CHECK(send_local_datagram(folder.file("nobody"), "x", DatagramWait::until_sent) == ENOENT);
}

TEST_CASE("peer: the other end of a local socket") {
  std::array<int, 2> ends{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const Fd one(ends[0]);
  const Fd other(ends[1]);
  PeerCredentials peer;
  REQUIRE(peer_credentials(one.get(), peer) == 0);
  CHECK(peer.pid == getpid());
  CHECK(peer.uid == getuid());
  CHECK(peer.gid == getgid());
  CHECK(peer_credentials(-1, peer) == EBADF);
}

TEST_CASE("pid file: its holder is found by another process") {
  const test::Folder folder;
  const std::string path = folder.file("pid");
  pid_t holder = -1;
  CHECK(pid_file_holder(path, holder) == ENOENT);
  PidFile file;
  REQUIRE(file.lock(path) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(pid_file_holder(path, holder) == 0 && holder == getppid() ? 0 : 1);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  std::ofstream(folder.file("free")) << "1";
  CHECK(pid_file_holder(folder.file("free"), holder) == 0);
  CHECK(holder == 0);
}

TEST_CASE("pid file: seen as locked by F_GETLK of another process, as LVM2 looks") {
  const test::Folder folder;
  const std::string path = folder.file("pid");
  PidFile file;
  REQUIRE(file.lock(path) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    const bool locked =
        fcntl(fd.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid == getppid();
    PidFile second;
    const int error = second.lock(path);
    _exit(locked && (error == EAGAIN || error == EACCES) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  file.close();
  file.close();
  CHECK(access(path.c_str(), F_OK) != 0);
}

TEST_CASE("pid file: a link is not followed, and what is no file is refused without a wait") {
  const test::Folder folder;
  std::ofstream(folder.file("target")) << "kept";
  REQUIRE(symlink(folder.file("target").c_str(), folder.file("link").c_str()) == 0);
  REQUIRE(mkfifo(folder.file("fifo").c_str(), 0600) == 0);
  PidFile file;
  CHECK(file.lock(folder.file("link")) == ELOOP);
  CHECK(std::filesystem::file_size(folder.file("target")) == 4);
  CHECK(file.lock(folder.file("fifo")) == EINVAL);
  CHECK(file.lock(folder.file("")) == EISDIR);
  CHECK(file.lock("/dev/null") == EINVAL);
}

TEST_CASE("pid file: a file that was removed by hand and made anew by another daemon is left to it") {
  const test::Folder folder;
  const std::string path = folder.file("pid");
  PidFile first;
  REQUIRE(first.lock(path) == 0);
  REQUIRE(unlink(path.c_str()) == 0);
  PidFile second;
  REQUIRE(second.lock(path) == 0);
  first.close();
  CHECK(access(path.c_str(), F_OK) == 0);
  second.close();
  CHECK(access(path.c_str(), F_OK) != 0);
}

namespace {

/// Whether the pages of this process at an address are locked, as the kernel says.
[[maybe_unused]] bool locked(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t start = 0;
    uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2) {
      inside = wanted >= start && wanted < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line.find(" lo") != std::string::npos;
    }
  }
  return false;
}

[[maybe_unused]] int written_data = 1;

}  // namespace

// The sanitizers' libraries put an mlock that does nothing in place of the real one.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

TEST_CASE("process memory: data of the program is locked, a state record is not") {
  const test::Folder folder;
  std::unique_ptr<StateStore> store;
  REQUIRE(StateStore::open({folder.file("state"), "boot", uint64_t{1} << 30}, store) == 0);
  StateStatic fixed;
  fixed.boot_id = "boot";
  fixed.uuid = "a";
  fixed.region_count = region_count_max / 64;
  fixed.region_size_sectors = 8;
  const StateStore::Created created = store->create(fixed);
  REQUIRE(created.error == 0);
  const MemoryLockResult result = lock_code_mappings();
  if (result.failures > 0) {
    MESSAGE("this process may not lock so much: " << std::strerror(result.error));
    return;
  }
  written_data++;
  CHECK(locked(&written_data));
  CHECK(locked(reinterpret_cast<const void*>(&lock_code_mappings)));
  // Locked when it is touched, and not made resident by this.
  std::vector<unsigned char> resident(created.slot->memory().size() / block_bytes);
  REQUIRE(mincore(created.slot->memory().data(), created.slot->memory().size(), resident.data()) == 0);
  CHECK(std::ranges::count_if(resident, [](unsigned char page) { return (page & 1) != 0; }) < 64);
}

#endif

TEST_CASE("process memory: locks code or says why not") {
  const MemoryLockResult result = lock_code_mappings();
  if (result.failures == 0) {
    CHECK(result.locked_bytes > 0);
  } else {
    CHECK(result.error != 0);
  }
  const int flusher = set_io_flusher();
  CHECK((flusher == 0 || flusher == EPERM || flusher == EINVAL));
}

TEST_CASE("state store: names of logs with one luid differ by uuid, and one identity is made once") {
  const test::Folder folder;
  std::unique_ptr<StateStore> store;
  REQUIRE(StateStore::open({folder.file("state"), "boot", uint64_t{1} << 30}, store) == 0);
  StateStatic fixed;
  fixed.boot_id = "boot";
  fixed.luid = 1;
  fixed.region_count = 100;
  fixed.region_size_sectors = 8;
  fixed.uuid = "a";
  CHECK(store->create(fixed).error == 0);
  CHECK(store->create(fixed).error == EEXIST);
  fixed.uuid = "b";
  CHECK(store->create(fixed).error == 0);
  const std::string long_uuid(uuid_bytes_max, 'u');
  fixed.uuid = long_uuid;
  CHECK(store->create(fixed).error == 0);
  const std::string too_long = long_uuid + "u";
  fixed.uuid = too_long;
  CHECK(store->create(fixed).error == EINVAL);
  fixed.uuid = "c";
  fixed.region_count = 0;
  CHECK(store->create(fixed).error == EINVAL);
  std::vector<std::string> problems;
  CHECK(store->restore(problems).size() == 3);
  CHECK(problems.empty());
}

TEST_CASE("state store: of a record and its copies only the one under its own name counts") {
  const test::Folder folder;
  const std::string state = folder.file("state");
  const StateStoreOptions options{state, "boot", uint64_t{1} << 30};
  std::unique_ptr<StateStore> store;
  REQUIRE(StateStore::open(options, store) == 0);
  StateStatic fixed;
  fixed.boot_id = "boot";
  fixed.uuid = "a";
  fixed.luid = 1;
  fixed.region_count = 100;
  fixed.region_size_sectors = 8;
  const StateStore::Created created = store->create(fixed);
  REQUIRE(created.error == 0);
  const std::string own = created.slot->name();
  fixed.luid = 2;
  REQUIRE(store->create(fixed).error == 0);
  store.reset();
  // One that sorts before it and one behind; and one whose original is gone is as good as that.
  namespace fs = std::filesystem;
  fs::copy_file(state + "/" + own, state + "/!before.state");
  fs::copy_file(state + "/" + own, state + "/zbehind.state");
  std::vector<std::string> problems;
  REQUIRE(StateStore::open(options, store) == 0);
  std::vector<std::shared_ptr<StateSlot>> found = store->restore(problems);
  REQUIRE(found.size() == 2);
  CHECK(std::ranges::any_of(found, [&](const auto& slot) { return slot->name() == own; }));
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].find("state file !before.state: a copy of a record that is here, put aside as") == 0);
  CHECK(fs::exists(state + "/zbehind.state.unreadable"));
  CHECK(fs::exists(state + "/" + own));
  store.reset();
  fs::rename(state + "/" + own, state + "/moved.state");
  problems.clear();
  REQUIRE(StateStore::open(options, store) == 0);
  found = store->restore(problems);
  CHECK(found.size() == 2);
  CHECK(problems.empty());
}
