// The claim on a log device: one open file at a time, until the last reference to it has gone, also that of a
// write in flight of a process that was killed.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "os/block_file.h"
#include "os/event_fd.h"
#include "os/io_queue.h"
#include "tests/os_support.h"

using namespace lockstep;
using namespace std::chrono_literals;

namespace {

std::string make_file(const test::Folder& folder) {
  const std::string path = folder.file("log");
  const Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  LOCKSTEP_ASSERT(ftruncate(file.get(), 65536) == 0);
  return path;
}

BlockFile open_file(const std::string& path) {
  BlockFile file;
  REQUIRE(open_block_file(path, file) == 0);
  return file;
}

/// Claims the file as another daemon would, some time within ten seconds.
bool claimed_soon(const BlockFile& file) {
  for (int tries = 0; tries < 10'000; tries++) {
    if (claim_block_file(file) == 0) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

}  // namespace

TEST_CASE("block file claim: one open file at a time, freed by its close") {
  const test::Folder folder;
  const std::string path = make_file(folder);
  BlockFile first = open_file(path);
  const BlockFile second = open_file(path);
  CHECK(claim_block_file(first) == 0);
  CHECK(claim_block_file(first) == 0);
  CHECK(claim_block_file(second) == EAGAIN);
  const BlockFile looks_only = open_file(path);
  CHECK(looks_only.bytes == 65536);
  first = BlockFile{};
  CHECK(claim_block_file(second) == 0);
}

TEST_CASE("block file claim: freed by the kill of its process") {
  const test::Folder folder;
  const std::string path = make_file(folder);
  int ready[2] = {};
  REQUIRE(pipe(ready) == 0);
  const pid_t child = fork();
  if (child == 0) {
    BlockFile file;
    const bool claimed = open_block_file(path, file) == 0 && claim_block_file(file) == 0;
    if (!claimed || write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  REQUIRE(test::wait_readable(ready[0]));
  const BlockFile next = open_file(path);
  CHECK(claim_block_file(next) == EAGAIN);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK(claimed_soon(next));
  close(ready[0]);
  close(ready[1]);
}
