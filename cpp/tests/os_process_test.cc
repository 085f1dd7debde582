// Pid file, readiness datagram, state folder: what needs a second process or a socket that
// JavaScript has none of.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <mutex>

#include "os/notify.h"
#include "os/pid_file.h"
#include "os/process_memory.h"
#include "os/state_store.h"
#include "tests/os_support.h"

using namespace lockstep;

TEST_CASE("notify: reaches a path and an abstract name") {
  const test::Folder folder;
  for (const std::string& address : {folder.file("notify"), "@lockstep-test-" + std::to_string(getpid())}) {
    const Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.data(), address.size());
    if (address[0] == '@') name.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), length) == 0);
    CHECK(send_notification(address, "READY=1\nSTATUS=up") == 0);
    std::array<char, 64> text{};
    REQUIRE(recv(fd.get(), text.data(), text.size(), MSG_DONTWAIT) == 17);
    CHECK(std::string(text.data()) == "READY=1\nSTATUS=up");
  }
  CHECK(send_notification("", "x") == EINVAL);
  CHECK(send_notification("relative", "x") == EAFNOSUPPORT);
  CHECK(send_notification("/" + std::string(200, 'x'), "x") == EINVAL);
  CHECK(send_notification(folder.file("nobody"), "x") == ENOENT);
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
