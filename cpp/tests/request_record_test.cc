// The record of the newest request: what comes back, and everything that is no record of this boot.
#include "core/request_record.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace lockstep;

namespace {

constexpr const char* boot_id = "5a2f1c7e-0000-4000-8000-00000000cafe";

using Page = std::vector<uint64_t>;

std::span<uint8_t> bytes_of(Page& page) { return {reinterpret_cast<uint8_t*>(page.data()), page.size() * 8}; }

Page page_of(const char* boot) {
  Page page(RequestRecord::bytes / 8);
  REQUIRE(RequestRecord::create(bytes_of(page), boot));
  return page;
}

}  // namespace

TEST_CASE("request record: a sequence number comes back, the first and the last one too") {
  Page page = page_of(boot_id);
  CHECK(RequestRecord::valid(bytes_of(page), boot_id));
  CHECK_FALSE(RequestRecord::last(bytes_of(page)).has_value());
  for (const uint32_t seq : {uint32_t{0}, uint32_t{1}, uint32_t{0x80000000}, UINT32_MAX}) {
    RequestRecord::note(bytes_of(page), seq);
    CHECK(RequestRecord::valid(bytes_of(page), boot_id));
    CHECK(RequestRecord::last(bytes_of(page)) == seq);
  }
}

TEST_CASE("request record: another boot's, damaged, short and empty pages are none") {
  Page page = page_of(boot_id);
  CHECK_FALSE(RequestRecord::valid(bytes_of(page), "another-boot"));
  CHECK_FALSE(RequestRecord::valid(bytes_of(page).first(2048), boot_id));
  CHECK_FALSE(RequestRecord::valid({}, boot_id));
  for (const size_t at : {size_t{0}, size_t{8}, size_t{71}, size_t{72}, size_t{85}}) {
    Page damaged = page;
    bytes_of(damaged)[at] ^= 0x40;
    CHECK_FALSE(RequestRecord::valid(bytes_of(damaged), boot_id));
  }
  Page fresh(RequestRecord::bytes / 8);
  CHECK_FALSE(RequestRecord::valid(bytes_of(fresh), boot_id));
  CHECK_FALSE(RequestRecord::create(bytes_of(fresh), std::string(65, 'x')));
}
