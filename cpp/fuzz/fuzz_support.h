// What the fuzz targets share: a reader that turns the input into choices, and a check that stays on in every
// build.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "core/assert.h"

namespace lockstep::fuzz {

/// Takes values from the front of the input; zeros when it is used up.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(data, size) {}

  bool empty() const { return left_.empty(); }

  template <typename T>
  T take() {
    T value{};
    const auto bytes = take_bytes(sizeof(T));
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  uint64_t below(uint64_t limit) { return limit <= 256 ? take<uint8_t>() % limit : take<uint64_t>() % limit; }

  /// Up to `count` bytes.
  std::span<const uint8_t> take_bytes(size_t count) {
    const auto bytes = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(bytes.size());
    return bytes;
  }
  /// Up to `count` bytes, cut at their first NUL.
  std::string_view take_text(size_t count) {
    const auto bytes = take_bytes(count);
    const auto end = std::find(bytes.begin(), bytes.end(), uint8_t{0});
    return {reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(end - bytes.begin())};
  }

 private:
  std::span<const uint8_t> left_;
};

}  // namespace lockstep::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
