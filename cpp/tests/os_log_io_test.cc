// The log writer over a queue that ends requests when and how the test says: order, windows, barriers, first
// errors, short writes, kernels without durable writes, and what is abandoned.
#include <doctest/doctest.h>

#include <cerrno>
#include <deque>
#include <vector>

#include "data/log_io.h"

using namespace lockstep;
using Kind = IoRequest::Kind;

namespace {

class ScriptedQueue final : public IoQueue {
 public:
  void submit(std::span<const IoRequest> requests) override {
    for (const IoRequest& request : requests) {
      begun.push_back(request);
      history.push_back(request.kind);
    }
    most_in_flight = std::max(most_in_flight, begun.size());
  }
  size_t reap(std::span<IoResult> results) override {
    const size_t count = std::min(results.size(), ended.size());
    for (size_t index = 0; index < count; index++) {
      results[index] = ended.front();
      ended.pop_front();
    }
    return count;
  }
  bool is_thread() const noexcept override { return true; }

  /// Ends the oldest request; with everything moved when no result is given.
  void end_one(int32_t result) {
    const IoRequest request = begun.front();
    begun.pop_front();
    ended.push_back({request.tag, result});
  }
  void end_one_well() {
    end_one(begun.front().kind == Kind::barrier ? 0 : static_cast<int32_t>(begun.front().bytes));
  }

  std::deque<IoRequest> begun;
  std::deque<IoResult> ended;
  std::vector<Kind> history;
  size_t most_in_flight = 0;
};

class CountingSource final : public LogSource {
 public:
  explicit CountingSource(int& alive) : alive_(alive) { alive_++; }
  ~CountingSource() override { alive_--; }
  void encode(uint64_t offset, std::span<uint8_t> into) const override {
    std::fill(into.begin(), into.end(), static_cast<uint8_t>(offset / 4096));
  }

 private:
  int& alive_;
};

struct Bench {
  Bench() : io(BlockFile{}, take_queue(), wake, counters) {}
  std::unique_ptr<IoQueue> take_queue() {
    auto made = std::make_unique<ScriptedQueue>();
    queue = made.get();
    return made;
  }
  void write(size_t runs, bool durable) {
    std::vector<LogImage::Run> list;
    for (size_t run = 0; run < runs; run++) list.push_back({run * 8192, 4096});
    REQUIRE(io.write(list, std::make_shared<CountingSource>(sources), durable));
  }
  void progress() {
    io.progress([this](const LogIoDone& done) { ends.push_back(done.error); });
  }
  void end_all() {
    progress();
    while (!queue->begun.empty()) {
      queue->end_one_well();
      progress();
    }
  }

  ScriptedQueue* queue = nullptr;
  EventFd wake;
  std::shared_ptr<LogIoCounters> counters = std::make_shared<LogIoCounters>();
  LogIo io;
  std::vector<int> ends;
  int sources = 0;
};

}  // namespace

TEST_CASE("log io: one run is one durable write") {
  Bench bench;
  bench.write(1, true);
  CHECK(bench.ends.empty());
  bench.end_all();
  CHECK(bench.queue->history == std::vector<Kind>{Kind::write_durable});
  CHECK(bench.ends == std::vector<int>{0});
  CHECK(bench.sources == 0);
}

TEST_CASE("log io: several runs go in windows, and one barrier comes after all of them") {
  Bench bench;
  bench.write(20, true);
  bench.end_all();
  std::vector<Kind> expected(20, Kind::write);
  expected.push_back(Kind::barrier);
  CHECK(bench.queue->history == expected);
  CHECK(bench.queue->most_in_flight == LogIo::buffers_max);
  CHECK((bench.counters->bytes_written == uint64_t{20} * 4096 && bench.counters->writes == 20));
  CHECK(bench.counters->barriers == 1);
}

TEST_CASE("log io: the barrier waits for the last write") {
  Bench bench;
  bench.write(3, true);
  bench.queue->end_one_well();
  bench.queue->end_one_well();
  bench.progress();
  CHECK(bench.queue->history == std::vector<Kind>(3, Kind::write));
  bench.queue->end_one_well();
  bench.progress();
  CHECK(bench.queue->history.back() == Kind::barrier);
  CHECK(bench.ends.empty());
  bench.queue->end_one_well();
  bench.progress();
  CHECK(bench.ends == std::vector<int>{0});
}

TEST_CASE("log io: without durability there is no barrier") {
  Bench bench;
  bench.write(1, false);
  bench.write(2, false);
  bench.write(0, false);
  bench.end_all();
  CHECK(bench.queue->history == std::vector<Kind>(3, Kind::write));
  CHECK(bench.ends == std::vector<int>{0, 0, 0});
}

TEST_CASE("log io: nothing planned and durable is a barrier alone") {
  Bench bench;
  bench.write(0, true);
  bench.end_all();
  CHECK(bench.queue->history == std::vector<Kind>{Kind::barrier});
}

TEST_CASE("log io: the first error ends a commit, after what is in flight") {
  Bench bench;
  bench.write(20, true);
  bench.queue->end_one_well();
  bench.queue->end_one(-ENOSPC);
  bench.queue->end_one(-EIO);
  bench.progress();
  CHECK(bench.ends.empty());
  const size_t begun = bench.queue->history.size();
  while (!bench.queue->begun.empty()) bench.queue->end_one_well();
  bench.progress();
  CHECK(bench.queue->history.size() == begun);
  CHECK(bench.ends == std::vector<int>{ENOSPC});
  // The next commit starts afresh.
  bench.write(1, true);
  bench.end_all();
  CHECK(bench.ends == std::vector<int>{ENOSPC, 0});
}

TEST_CASE(
    "log io: fault 11: a short write is taken for a good one -> it is an error, as a failed barrier is") {
  Bench bench;
  bench.write(1, true);
  bench.queue->end_one(2048);
  bench.progress();
  bench.write(2, true);
  bench.queue->end_one_well();
  bench.queue->end_one_well();
  bench.progress();
  bench.queue->end_one(-EIO);
  bench.progress();
  CHECK(bench.ends == std::vector<int>{EIO, EIO});
}

TEST_CASE("log io: a kernel without durable writes gets a write and a barrier") {
  Bench bench;
  bench.write(1, true);
  bench.queue->end_one(-EOPNOTSUPP);
  bench.end_all();
  CHECK(bench.queue->history == std::vector<Kind>{Kind::write_durable, Kind::write, Kind::barrier});
  CHECK(bench.ends == std::vector<int>{0});
  bench.write(1, true);
  bench.end_all();
  CHECK(bench.queue->history.size() == 5);
  CHECK(bench.queue->history[3] == Kind::write);
}

TEST_CASE("log io: operations end in call order") {
  Bench bench;
  REQUIRE(bench.io.read(0, 512));
  bench.write(1, true);
  REQUIRE(bench.io.read(512, 512));
  CHECK(bench.queue->history == std::vector<Kind>{Kind::read});
  bench.queue->end_one(-EIO);
  bench.end_all();
  CHECK(bench.queue->history == std::vector<Kind>{Kind::read, Kind::write_durable, Kind::read});
  CHECK(bench.ends == std::vector<int>{EIO, 0, 0});
  CHECK(bench.io.operations() == 0);
}

TEST_CASE("log io: at most so many operations wait") {
  Bench bench;
  for (size_t count = 0; count < LogIo::operations_max; count++) REQUIRE(bench.io.read(0, 512));
  CHECK(!bench.io.read(0, 512));
  bench.end_all();
  CHECK(bench.ends.size() == LogIo::operations_max);
}

TEST_CASE("log io: what is abandoned says nothing and keeps no source") {
  Bench bench;
  bench.write(20, true);
  bench.write(1, true);
  bench.io.abandon();
  CHECK(bench.sources == 0);
  CHECK(!bench.io.quiet());
  while (!bench.queue->begun.empty()) bench.queue->end_one_well();
  bench.progress();
  CHECK(bench.io.quiet());
  CHECK(bench.ends.empty());
}
