// Both IO queues: every request ends by one result, results carry errno or bytes, a wake follows.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "os/event_fd.h"
#include "os/io_queue.h"
#include "tests/os_support.h"

using namespace lockstep;
using Kind = IoRequest::Kind;

namespace {

std::unique_ptr<IoQueue> make_queue(bool uring, int fd, const EventFd& wake) {
  return uring ? make_uring_queue(fd, wake) : make_thread_queue(fd, wake);
}

std::vector<IoResult> wait_all(IoQueue& queue, const EventFd& wake, size_t count) {
  std::vector<IoResult> all;
  std::array<IoResult, 3> some;
  while (all.size() < count) {
    const size_t taken = queue.reap(some);
    all.insert(all.end(), some.begin(), some.begin() + static_cast<ptrdiff_t>(taken));
    if (taken > 0) continue;
    REQUIRE(test::wait_readable(wake.get()));
    wake.take();
  }
  return all;
}

}  // namespace

TEST_CASE("io queue: what is written is read") {
  for (const bool uring : {true, false}) {
    if (uring && !uring_available()) continue;
    const test::Folder folder;
    const Fd file(open(folder.file("file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const EventFd wake;
    const auto queue = make_queue(uring, file.get(), wake);
    REQUIRE(queue != nullptr);
    CHECK(queue->is_thread() == !uring);
    std::vector<std::array<uint8_t, 512>> blocks(IoQueue::in_flight_max);
    std::vector<IoRequest> requests;
    for (uint32_t tag = 0; tag < blocks.size(); tag++) {
      blocks[tag].fill(static_cast<uint8_t>(tag + 1));
      const Kind kind = tag % 2 == 0 ? Kind::write : Kind::write_durable;
      requests.push_back({kind, tag, blocks[tag].data(), 512, uint64_t{tag} * 512});
    }
    queue->submit(requests);
    uint64_t tags = 0;
    for (const IoResult& result : wait_all(*queue, wake, blocks.size())) {
      CHECK(result.result == 512);
      tags |= uint64_t{1} << result.tag;
    }
    CHECK(tags == (uint64_t{1} << blocks.size()) - 1);

    const IoRequest barrier{Kind::barrier, 9, nullptr, 0, 0};
    queue->submit({&barrier, 1});
    CHECK(wait_all(*queue, wake, 1)[0].result == 0);

    std::array<uint8_t, 1024> bytes{};
    const IoRequest read{Kind::read, 3, bytes.data(), 1024, 512};
    queue->submit({&read, 1});
    CHECK(wait_all(*queue, wake, 1)[0].result == 1024);
    CHECK((bytes.front() == 2 && bytes.back() == 3));
  }
}

TEST_CASE("io queue: errors are errno, a short read is its length") {
  for (const bool uring : {true, false}) {
    if (uring && !uring_available()) continue;
    const test::Folder folder;
    const Fd file(open(folder.file("file").c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
    const EventFd wake;
    const auto queue = make_queue(uring, file.get(), wake);
    std::array<uint8_t, 512> bytes{};
    const std::array<IoRequest, 2> requests = {IoRequest{Kind::write, 0, bytes.data(), 512, 0},
                                               IoRequest{Kind::read, 1, bytes.data(), 512, 0}};
    queue->submit(requests);
    for (const IoResult& result : wait_all(*queue, wake, 2))
      CHECK(result.result == (result.tag == 0 ? -EBADF : 0));
  }
}

TEST_CASE("io queue: the thread ends with its queue, busy or not") {
  const test::Folder folder;
  const Fd file(open(folder.file("file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  for (int round = 0; round < 50; round++) {
    const EventFd wake;
    const auto queue = make_thread_queue(file.get(), wake);
    std::array<uint8_t, 512> bytes{};
    const IoRequest write{Kind::write, 0, bytes.data(), 512, 0};
    for (int count = round % 3; count > 0; count--) {
      queue->submit({&write, 1});
      wait_all(*queue, wake, 1);
    }
  }
}
