#include "binding/arguments.h"

#include <uv.h>

#include <cmath>
#include <cstring>

#include "core/limits.h"

namespace lockstep::binding {
namespace {

void check(Napi::Env env, napi_status status, const char* expected, size_t index) {
  if (status == napi_ok) return;
  throw_type(env, "argument " + std::to_string(index + 1) + " must be " + expected);
}

std::string number_text(double number) {
  return std::trunc(number) == number && std::abs(number) <= static_cast<double>(safe_integer_max)
             ? std::to_string(static_cast<int64_t>(number))
             : std::to_string(number);
}

struct TypedArray {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
};

TypedArray typed_array(const Napi::CallbackInfo& info, size_t index, napi_typedarray_type type,
                       const char* expected) {
  TypedArray array;
  const napi_status status = napi_get_typedarray_info(info.Env(), info[index], &array.type, &array.length,
                                                      &array.data, nullptr, nullptr);
  check(info.Env(), status == napi_ok && array.type != type ? napi_invalid_arg : status, expected, index);
  return array;
}

}  // namespace

void throw_errno(Napi::Env env, int error, const std::string& what) {
  Napi::Error made = Napi::Error::New(env, what + ": " + std::strerror(error));
  made.Set("code", Napi::String::New(env, uv_err_name(-error)));
  made.Set("errno", Napi::Number::New(env, error));
  throw made;
}

void throw_closed(Napi::Env env, const char* what) {
  Napi::Error made = Napi::Error::New(env, std::string(what) + " is closed");
  made.Set("code", Napi::String::New(env, "ERR_LOCKSTEP_CLOSED"));
  throw made;
}

void throw_range(Napi::Env env, const std::string& text) { throw Napi::RangeError::New(env, text); }

void throw_type(Napi::Env env, const std::string& text) { throw Napi::TypeError::New(env, text); }

double number_argument(const Napi::CallbackInfo& info, size_t index) {
  double value = 0;
  check(info.Env(), napi_get_value_double(info.Env(), info[index], &value), "a number", index);
  if (std::isnan(value))
    throw_range(info.Env(), "argument " + std::to_string(index + 1) + " is not a number");
  return value;
}

uint64_t integer_argument(const Napi::CallbackInfo& info, size_t index, uint64_t min, uint64_t max) {
  const double value = number_argument(info, index);
  // Comparing first keeps the conversion within what an integer holds.
  if (!(value >= static_cast<double>(min) && value <= static_cast<double>(max)) ||
      std::trunc(value) != value) {
    throw_range(info.Env(), number_text(value) + " is not an integer from " + std::to_string(min) + " to " +
                                std::to_string(max));
  }
  return static_cast<uint64_t>(value);
}

bool boolean_argument(const Napi::CallbackInfo& info, size_t index) {
  bool value = false;
  check(info.Env(), napi_get_value_bool(info.Env(), info[index], &value), "a boolean", index);
  return value;
}

std::string text_argument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsString()) check(info.Env(), napi_string_expected, "a string", index);
  return info[index].As<Napi::String>().Utf8Value();
}

Napi::Function function_argument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsFunction()) check(info.Env(), napi_function_expected, "a function", index);
  return info[index].As<Napi::Function>();
}

Napi::Object object_argument(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsObject()) check(info.Env(), napi_object_expected, "an object", index);
  return info[index].As<Napi::Object>();
}

std::span<uint8_t> bytes_argument(const Napi::CallbackInfo& info, size_t index) {
  const TypedArray array = typed_array(info, index, napi_uint8_array, "a Uint8Array");
  return {static_cast<uint8_t*>(array.data), array.length};
}

std::span<double> doubles_argument(const Napi::CallbackInfo& info, size_t index) {
  const TypedArray array = typed_array(info, index, napi_float64_array, "a Float64Array");
  return {static_cast<double*>(array.data), array.length};
}

std::span<const double> regions_argument(const Napi::CallbackInfo& info, size_t index,
                                         uint64_t region_count) {
  const std::span<const double> all = doubles_argument(info, index);
  const std::span<const double> regions = all.first(integer_argument(info, index + 1, 0, all.size()));
  const auto limit = static_cast<double>(region_count);
  for (const double region : regions) {
    if (!(region >= 0 && region < limit) || std::trunc(region) != region) {
      throw_range(info.Env(),
                  "region " + number_text(region) + " is not one of " + std::to_string(region_count));
    }
  }
  return regions;
}

}  // namespace lockstep::binding
