// Room on the tmpfs for a state record that is too large to be reserved whole: given page by page, before the
// first store to a page. A store to a page that a full tmpfs cannot give is a SIGBUS, hence the end of the
// daemon; here it is an answer, which becomes an error to the kernel.
//
// A page of room is one page (32768 regions) in each of the three maps at once, so that what is copied from
// one map to another finds room too. Pages that another daemon reserved are reserved again, which is quick.
#pragma once

#include <cstdint>
#include <vector>

#include "core/state_layout.h"
#include "os/fd.h"

namespace lockstep {

class StateRoom {
 public:
  /// The record's file, laid out by `layout`.
  StateRoom(Fd file, const StateLayout& layout);

  /// Room for the bits of the region, in all maps. One look at a bit when it is there; 0 or an errno.
  [[nodiscard]] int ensure(uint64_t region) noexcept {
    const uint64_t page = region / bitmap_page_bits;
    if (((reserved_[page / 64] >> (page % 64)) & 1) != 0) return 0;
    return reserve(page);
  }

 private:
  [[nodiscard]] int reserve(uint64_t page) noexcept;

  Fd file_;
  StateLayout layout_;
  std::vector<uint64_t> reserved_;
};

}  // namespace lockstep
