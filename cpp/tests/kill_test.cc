// What a kill leaves behind (R2): before every single store of a long operation the memory, attached to as a
// restarted daemon would, gives each bit its old or its new value, and a state record under creation is no
// record until it is whole.
//
// The memory is write-protected while an operation runs. Each store faults; the fault handler looks at the
// memory as a kill at that instruction would leave it, lets the processor execute that one instruction, and
// protects it again.
#include <doctest/doctest.h>

#include <csignal>
#include <functional>

#include "tests/support.h"

#if defined(__x86_64__)
#include <sys/ucontext.h>
#endif

using namespace lockstep;
using lockstep::test::Random;

// Thread sanitizer runs handlers on its own terms; single steps do not go with that.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)

namespace {

/// Runs an operation and calls `look` before each of its stores to `memory`. One at a time.
class StoreWatch {
 public:
  StoreWatch(std::span<uint8_t> memory, const std::function<void()>& look) : memory_(memory), look_(look) {
    current_ = this;
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    action.sa_sigaction = before_store;
    sigaction(SIGSEGV, &action, &old_fault_);
    action.sa_sigaction = after_store;
    sigaction(SIGTRAP, &action, &old_trap_);
    protect(PROT_READ);
  }
  ~StoreWatch() {
    protect(PROT_READ | PROT_WRITE);
    sigaction(SIGSEGV, &old_fault_, nullptr);
    sigaction(SIGTRAP, &old_trap_, nullptr);
    current_ = nullptr;
  }
  StoreWatch(const StoreWatch&) = delete;
  StoreWatch& operator=(const StoreWatch&) = delete;

  uint64_t stores() const { return stores_; }

 private:
  static constexpr long trap_flag = 0x100;

  static void before_store(int, siginfo_t* info, void* context) {
    const auto* at = static_cast<const uint8_t*>(info->si_addr);
    const auto memory = current_->memory_;
    LOCKSTEP_ASSERT(at >= memory.data() && at < memory.data() + memory.size());
    current_->stores_++;
    current_->look_();
    current_->protect(PROT_READ | PROT_WRITE);
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] |= trap_flag;
  }
  static void after_store(int, siginfo_t*, void* context) {
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~trap_flag;
    current_->protect(PROT_READ);
  }
  void protect(int rights) const { LOCKSTEP_ASSERT(mprotect(memory_.data(), memory_.size(), rights) == 0); }

  static StoreWatch* current_;
  std::span<uint8_t> memory_;
  const std::function<void()>& look_;
  uint64_t stores_ = 0;
  struct sigaction old_fault_ = {};
  struct sigaction old_trap_ = {};
};
StoreWatch* StoreWatch::current_ = nullptr;

struct Bits {
  std::vector<uint8_t> clean, sync, held;
};

Bits bits_of(const RegionMap& map) {
  const uint64_t bytes = (map.region_count() + 7) / 8;
  Bits bits{std::vector<uint8_t>(bytes), std::vector<uint8_t>(bytes), std::vector<uint8_t>(bytes)};
  map.clean().read_bytes(0, bits.clean);
  map.sync().read_bytes(0, bits.sync);
  map.held().read_bytes(0, bits.held);
  return bits;
}

/// Bytes of `now` in which a bit is neither that of `before` nor that of `after`.
uint64_t torn(const std::vector<uint8_t>& now, const std::vector<uint8_t>& before,
              const std::vector<uint8_t>& after) {
  uint64_t bytes = 0;
  for (size_t index = 0; index < now.size(); index++) {
    bytes += ((now[index] ^ before[index]) & (now[index] ^ after[index])) != 0 ? 1 : 0;
  }
  return bytes;
}

using Operation = std::function<void(RegionMap&)>;

/// Runs the operation on a copy first, to know what it should end in, then watches it.
void run_watched(test::OwnMap& own, const Operation& operation, uint64_t& stores) {
  const uint64_t regions = own.map.region_count();
  const Bits before = bits_of(own.map);
  test::Mapping copy(own.layout.total_bytes);
  std::copy(own.memory.bytes().begin(), own.memory.bytes().end(), copy.bytes().begin());
  RegionMap copied(map_memory(copy.bytes(), own.layout), regions);
  operation(copied);
  const Bits after = bits_of(copied);

  uint64_t wrong = 0;
  const std::function<void()> look = [&] {
    const Bits now = bits_of(RegionMap(map_memory(own.memory.bytes(), own.layout), regions));
    wrong += torn(now.clean, before.clean, after.clean) + torn(now.sync, before.sync, after.sync) +
             torn(now.held, before.held, after.held);
  };
  {
    const StoreWatch watch(own.memory.bytes(), look);
    operation(own.map);
    stores += watch.stores();
  }
  REQUIRE(wrong == 0);
  const Bits now = bits_of(own.map);
  REQUIRE((now.clean == after.clean && now.sync == after.sync && now.held == after.held));
}

/// A change of few bits, to make pages of every kind before and between the watched operations.
void scatter(RegionMap& map, Random& random) {
  const auto batch = test::random_regions(random, map.region_count(), 1 + random.below(6));
  map.hold(batch);
  random.chance(2) ? static_cast<void>(map.mark_clean(batch)) : static_cast<void>(map.mark_dirty(batch));
  for (const double region : batch) map.set_in_sync(static_cast<uint64_t>(region), random.chance(2));
}

}  // namespace

TEST_CASE("kill: between any two stores each bit is old or new") {
  const uint64_t regions = 3 * bitmap_page_bits + 100;
  Random random(7);
  test::OwnMap own(regions);
  uint64_t stores = 0;
  for (int round = 0; round < 60; round++) {
    for (uint64_t changes = random.below(3); changes > 0; changes--) scatter(own.map, random);
    const bool value = random.chance(2);
    const auto range = random.range(regions);
    const auto batch = test::random_regions(random, regions, 8);
    // Ranges within a page or two: a whole page word by word is the same step many times over.
    const uint64_t from = range.first;
    const uint64_t to = std::min(range.second, from + random.below(4000));
    const Operation operations[] = {
        [=](RegionMap& map) { map.fill_clean(0, regions, value); },
        [=](RegionMap& map) { map.fill_in_sync(0, regions, value); },
        [=](RegionMap& map) { map.fill_clean(from, to, value); },
        [=](RegionMap& map) { map.copy_clean_to_in_sync(); },
        [=](RegionMap& map) { map.unhold_all(); },
        [=](RegionMap& map) { map.hold(batch); },
        [=](RegionMap& map) { map.mark_dirty(batch); },
        [=](RegionMap& map) { map.mark_clean(batch); },
    };
    run_watched(own, operations[random.below(std::size(operations))], stores);
  }
  CHECK(stores > 500);
}

TEST_CASE("kill: a state record is no record until it is whole") {
  const StateStatic fixed{.boot_id = "boot",
                          .uuid = "LVM-uuid",
                          .constructor_text = "1024 clustered-core 64",
                          .luid = 0x1234567890ABCDEF,
                          .region_count = 16,
                          .region_size_sectors = 64,
                          .disk = false};
  test::Mapping memory(StateLayout::of(16).total_bytes);
  uint64_t wrong = 0;
  const std::function<void()> look = [&] {
    wrong += validate_state(memory.bytes()) == StateError::incomplete ? 0 : 1;
  };
  {
    const StoreWatch watch(memory.bytes(), look);
    REQUIRE(StateRecord::create(memory.bytes(), fixed));
    CHECK(watch.stores() > 10);
  }
  CHECK(wrong == 0);
  CHECK(validate_state(memory.bytes()) == StateError::ok);
}

#endif
