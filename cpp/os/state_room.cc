#include "os/state_room.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

namespace lockstep {

StateRoom::StateRoom(Fd file, const StateLayout& layout)
    : file_(std::move(file)), layout_(layout), reserved_(layout.region_count / bitmap_page_bits / 64 + 1) {}

int StateRoom::reserve(uint64_t page) noexcept {
  for (const uint64_t words : layout_.words_offset) {
    int error = 0;
    do {
      const auto at = static_cast<off_t>(words + page * bitmap_page_bytes);
      error = posix_fallocate(file_.get(), at, static_cast<off_t>(bitmap_page_bytes));
    } while (error == EINTR);
    if (error != 0) return error;
  }
  reserved_[page / 64] |= uint64_t{1} << (page % 64);
  return 0;
}

}  // namespace lockstep
