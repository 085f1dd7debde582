// Helper threads: order within a lane, lanes that do not wait for each other, limits, tasks that come again.
#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "os/helper_threads.h"

using namespace lockstep;
using namespace std::chrono_literals;

namespace {

constexpr HelperThreads::Again done = std::nullopt;

/// What tasks and test share: numbers in order of arrival, and a gate that tasks wait at.
struct Board {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  size_t hanging = 0;
  std::vector<int> ran;

  void note(int number) {
    const std::lock_guard guard(mutex);
    ran.push_back(number);
    changed.notify_all();
  }
  void hang() {
    std::unique_lock guard(mutex);
    hanging++;
    changed.notify_all();
    changed.wait(guard, [this] { return open; });
  }
  template <typename Condition>
  bool wait(Condition condition) {
    std::unique_lock guard(mutex);
    return changed.wait_for(guard, 10s, condition);
  }
  bool wait_ran(size_t count) {
    return wait([this, count] { return ran.size() >= count; });
  }
  bool wait_hanging(size_t count) {
    return wait([this, count] { return hanging >= count; });
  }
  void release() {
    const std::lock_guard guard(mutex);
    open = true;
    changed.notify_all();
  }
};

HelperThreads::Task noting(const std::shared_ptr<Board>& board, int number) {
  return [board, number] {
    board->note(number);
    return done;
  };
}

HelperThreads::Task hanging(const std::shared_ptr<Board>& board) {
  return [board] {
    board->hang();
    return done;
  };
}

}  // namespace

TEST_CASE("helper threads: tasks of a lane run in order") {
  const auto board = std::make_shared<Board>();
  HelperThreads helpers;
  std::vector<int> expected;
  for (int task = 0; task < 100; task++) {
    REQUIRE(helpers.post("a", noting(board, task)));
    expected.push_back(task);
  }
  REQUIRE(board->wait_ran(100));
  CHECK(board->ran == expected);
}

TEST_CASE("helper threads: a task that hangs holds up its lane and no other") {
  const auto board = std::make_shared<Board>();
  HelperThreads helpers;
  // One thread always stays for the others.
  const size_t stuck = HelperThreads::threads_max - 1;
  for (size_t lane = 0; lane < stuck; lane++) {
    REQUIRE(helpers.post("stuck" + std::to_string(lane), hanging(board)));
    REQUIRE(helpers.post("stuck" + std::to_string(lane), noting(board, -1)));
  }
  REQUIRE(board->wait_hanging(stuck));
  for (int task = 0; task < 50; task++)
    REQUIRE(helpers.post("free" + std::to_string(task), noting(board, task)));
  REQUIRE(board->wait_ran(50));
  CHECK(helpers.waiting() == stuck);
  board->release();
  REQUIRE(board->wait_ran(50 + stuck));
}

TEST_CASE("helper threads: a lane posted before the others hang is served when its turn comes late") {
  const auto board = std::make_shared<Board>();
  HelperThreads helpers;
  REQUIRE(helpers.post_later("late", 20ms, noting(board, 1)));
  for (int lane = 0; lane < 3; lane++) REQUIRE(helpers.post(std::to_string(lane), hanging(board)));
  REQUIRE(board->wait_ran(1));
  board->release();
}

TEST_CASE("helper threads: a task that comes again holds neither its lane nor a thread") {
  const auto board = std::make_shared<Board>();
  HelperThreads helpers;
  const auto left = std::make_shared<int>(3);
  for (size_t task = 0; task < HelperThreads::threads_max * 2; task++) {
    REQUIRE(helpers.post("again", [board]() -> HelperThreads::Again {
      const std::lock_guard guard(board->mutex);
      if (board->open) return done;
      return 1ms;
    }));
  }
  REQUIRE(helpers.post("again", [board, left]() -> HelperThreads::Again {
    if ((*left)-- > 0) return 5ms;
    board->note(2);
    return done;
  }));
  REQUIRE(helpers.post("again", noting(board, 1)));
  REQUIRE(board->wait_ran(2));
  CHECK(board->ran == std::vector<int>{1, 2});
  board->release();
}

TEST_CASE("helper threads: refuse too many, leave behind what hangs, throw away what waits") {
  const auto board = std::make_shared<Board>();
  {
    HelperThreads helpers;
    REQUIRE(helpers.post("a", [board] {
      board->hang();
      board->note(99);
      return done;
    }));
    REQUIRE(board->wait_hanging(1));
    for (size_t task = 0; task < HelperThreads::tasks_max; task++)
      REQUIRE(helpers.post("a", noting(board, -1)));
    CHECK(!helpers.post("a", noting(board, -1)));
    CHECK(!helpers.post("b", noting(board, -1)));
  }
  board->release();
  REQUIRE(board->wait_ran(1));
  CHECK(board->ran == std::vector<int>{99});
}
