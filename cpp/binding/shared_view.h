// Memory that C++ writes to and JavaScript reads: views that share it, so that a view whose memory JavaScript
// gave away (a transferred buffer) or threw away leaves C++ with memory that is still there.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>

namespace lockstep::binding {

template <typename Data, typename Owner>
void release_share(Napi::Env /*env*/, Data* /*data*/, std::shared_ptr<Owner>* share) {
  delete share;
}

template <typename Owner>
Napi::Buffer<uint8_t> shared_bytes(Napi::Env env, const std::shared_ptr<Owner>& owner, uint8_t* data,
                                   size_t bytes) {
  // Had making the view thrown, the pointer would have given the share back.
  auto share = std::make_unique<std::shared_ptr<Owner>>(owner);
  const auto view = Napi::Buffer<uint8_t>::New(env, data, bytes, release_share<uint8_t, Owner>, share.get());
  static_cast<void>(share.release());
  return view;
}

/// `Array` is a typed array of `Element`s.
template <typename Array, typename Element, typename Owner>
Array shared_array(Napi::Env env, const std::shared_ptr<Owner>& owner, Element* data, size_t length) {
  auto share = std::make_unique<std::shared_ptr<Owner>>(owner);
  const auto buffer =
      Napi::ArrayBuffer::New(env, data, length * sizeof(Element), release_share<void, Owner>, share.get());
  static_cast<void>(share.release());
  return Array::New(env, length, buffer, 0);
}

/// A property that is the view for good.
inline void expose(Napi::Object self, const char* name, const Napi::Value& view) {
  self.DefineProperty(Napi::PropertyDescriptor::Value(name, view, napi_enumerable));
}

}  // namespace lockstep::binding
