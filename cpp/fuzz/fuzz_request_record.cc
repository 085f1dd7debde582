// The record of the last request: raw bytes, and a whole record that the input damages. What is accepted is
// whole but for its number, and what is cut is refused.
#include <vector>

#include "core/limits.h"
#include "core/request_record.h"
#include "fuzz/fuzz_support.h"

using namespace lockstep;
using lockstep::fuzz::Input;

namespace {

/// Everything before the number.
constexpr size_t fixed_bytes = 76;

/// Aligned as a mapping is.
struct Page {
  std::span<uint8_t> bytes() { return {reinterpret_cast<uint8_t*>(words.data()), RequestRecord::bytes}; }

  std::vector<uint64_t> words = std::vector<uint64_t>(RequestRecord::bytes / sizeof(uint64_t));
};

void check(Page& page, std::string_view boot_id) {
  if (!RequestRecord::valid(page.bytes(), boot_id)) return;
  Page again;
  LOCKSTEP_ASSERT(RequestRecord::create(again.bytes(), boot_id));
  LOCKSTEP_ASSERT(
      std::equal(again.bytes().begin(), again.bytes().begin() + fixed_bytes, page.bytes().begin()));
  (void)RequestRecord::last(page.bytes());
}

void check_damaged(Input input) {
  const std::string_view boot_id = input.take_text(input.below(boot_id_bytes_max + 1));
  const uint32_t seq = input.take<uint32_t>();
  const size_t cut = input.below(RequestRecord::bytes);
  Page page;
  LOCKSTEP_ASSERT(RequestRecord::create(page.bytes(), boot_id));
  LOCKSTEP_ASSERT(RequestRecord::valid(page.bytes(), boot_id) && !RequestRecord::last(page.bytes()));
  RequestRecord::note(page.bytes(), seq);
  LOCKSTEP_ASSERT(RequestRecord::valid(page.bytes(), boot_id) && RequestRecord::last(page.bytes()) == seq);
  LOCKSTEP_ASSERT(!RequestRecord::valid(page.bytes().first(cut), boot_id));
  while (!input.empty()) {
    page.bytes()[input.take<uint16_t>() % 128] = input.take<uint8_t>();
    check(page, boot_id);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  Input input(data, size);
  if (input.take<uint8_t>() % 4 != 0) {
    check_damaged(input);
    return 0;
  }
  Page page;
  const auto raw = input.take_bytes(RequestRecord::bytes);
  std::copy(raw.begin(), raw.end(), page.bytes().begin());
  check(page, "");
  return 0;
}
