// Zeroed memory of any size that takes room only where it is written: anonymous, or a sparse file mapped
// shared.
#pragma once

#include <cstdint>
#include <span>

namespace lockstep {

class Mapping {
 public:
  Mapping() noexcept = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  /// Fresh zeroed memory. Small sizes come from the heap, which is quicker by the page faults that a mapping
  /// costs: the simulator makes a log some hundred thousand times. Returns 0 or an errno.
  [[nodiscard]] static int anonymous(uint64_t bytes, Mapping& into) noexcept;
  /// The first `bytes` bytes of the file, shared with it.
  [[nodiscard]] static int shared_file(int fd, uint64_t bytes, Mapping& into) noexcept;

  std::span<uint8_t> bytes() const noexcept { return {data_, bytes_}; }

  /// Keeps what is touched from now on from being swapped out; at least the first page, where the process may
  /// lock that much. Returns 0 or an errno, which callers may ignore.
  int lock_on_fault() const noexcept;

 private:
  void release() noexcept;

  uint8_t* data_ = nullptr;
  uint64_t bytes_ = 0;
  bool heap_ = false;
};

}  // namespace lockstep
