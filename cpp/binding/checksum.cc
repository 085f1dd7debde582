// The function of ts/native/checksum.ts.
#include "core/checksum.h"

#include <napi.h>

#include "binding/arguments.h"
#include "binding/instance.h"

namespace lockstep::binding {
namespace {

Napi::Value crc32c_of(const Napi::CallbackInfo& info) {
  const std::span<uint8_t> bytes = bytes_argument(info, 0);
  const size_t count = integer_argument(info, 1, 0, bytes.size());
  return Napi::Number::New(info.Env(), crc32c(bytes.first(count)));
}

}  // namespace

void define_checksum(Napi::Env env, Napi::Object exports) {
  exports.Set("crc32c", Napi::Function::New<crc32c_of>(env, "crc32c"));
}

}  // namespace lockstep::binding
