// Arguments from JavaScript, checked for memory safety, and errors to it. C++ throws here and nowhere below.
#pragma once

#include <napi.h>

#include <cstdint>
#include <span>
#include <string>

namespace lockstep::binding {

/// An Error with `code` (`EACCES`, say) and `errno`. `what` is what failed.
[[noreturn]] void throw_errno(Napi::Env env, int error, const std::string& what);
/// The Error of every call on a handle that is closed.
[[noreturn]] void throw_closed(Napi::Env env, const char* what);
[[noreturn]] void throw_range(Napi::Env env, const std::string& text);
[[noreturn]] void throw_type(Napi::Env env, const std::string& text);

/// A number of any value but NaN.
double number_argument(const Napi::CallbackInfo& info, size_t index);
/// An integer in [min, max]; max at most 2^53 - 1.
uint64_t integer_argument(const Napi::CallbackInfo& info, size_t index, uint64_t min, uint64_t max);
bool boolean_argument(const Napi::CallbackInfo& info, size_t index);
std::string text_argument(const Napi::CallbackInfo& info, size_t index);
Napi::Function function_argument(const Napi::CallbackInfo& info, size_t index);
Napi::Object object_argument(const Napi::CallbackInfo& info, size_t index);
std::span<uint8_t> bytes_argument(const Napi::CallbackInfo& info, size_t index);
std::span<double> doubles_argument(const Napi::CallbackInfo& info, size_t index);

/// The first `count` (argument `index + 1`) numbers of the Float64Array at `index`, every one a region below
/// `region_count`.
std::span<const double> regions_argument(const Napi::CallbackInfo& info, size_t index, uint64_t region_count);

/// A number for JavaScript, or -1 for `~0`, which the core says for none.
inline Napi::Value number_or_minus_one(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, value == ~uint64_t{0} ? -1.0 : static_cast<double>(value));
}

}  // namespace lockstep::binding
