// A system that has no thread left: nothing throws, and whoever asked is told. A stack that fits nowhere
// stands for it.
#include <doctest/doctest.h>
#include <pthread.h>

#include "os/event_fd.h"
#include "os/helper_threads.h"
#include "os/io_queue.h"
#include "tests/os_support.h"

using namespace lockstep;

namespace {

class NoThreads {
 public:
  NoThreads() {
    LOCKSTEP_ASSERT(pthread_getattr_default_np(&before_) == 0);
    pthread_attr_t impossible;
    LOCKSTEP_ASSERT(pthread_attr_init(&impossible) == 0);
    LOCKSTEP_ASSERT(pthread_attr_setstacksize(&impossible, size_t{1} << 50) == 0);
    LOCKSTEP_ASSERT(pthread_setattr_default_np(&impossible) == 0);
    pthread_attr_destroy(&impossible);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;
  ~NoThreads() {
    LOCKSTEP_ASSERT(pthread_setattr_default_np(&before_) == 0);
    pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_;
};

}  // namespace

TEST_CASE("no threads: a writer thread is not made") {
  const EventFd wake;
  const NoThreads none;
  CHECK(make_thread_queue(0, wake) == nullptr);
}

TEST_CASE("no threads: a task is refused, and the next one runs when there is a thread again") {
  EventFd ran;
  HelperThreads helpers;
  {
    const NoThreads none;
    CHECK(!helpers.post("a", [] { return HelperThreads::Again(); }));
    CHECK(helpers.waiting() == 0);
  }
  CHECK(helpers.post("a", [&ran] {
    ran.raise();
    return HelperThreads::Again();
  }));
  CHECK(test::wait_readable(ran.get()));
}
