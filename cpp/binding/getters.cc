#include "binding/getters.h"

namespace lockstep::binding {

Napi::Function with_getters(Napi::Function constructor) {
  const Napi::Env env = constructor.Env();
  const Napi::Object object = env.Global().Get("Object").As<Napi::Object>();
  const auto describe = object.Get("getOwnPropertyDescriptor").As<Napi::Function>();
  const auto define = object.Get("defineProperty").As<Napi::Function>();
  const Napi::Value prototype = constructor.Get("prototype");
  const auto names =
      object.Get("getOwnPropertyNames").As<Napi::Function>().Call({prototype}).As<Napi::Array>();
  for (uint32_t index = 0; index < names.Length(); index++) {
    const Napi::Value name = names.Get(index);
    if (name.As<Napi::String>().Utf8Value() == "constructor") continue;
    const auto method = describe.Call({prototype, name}).As<Napi::Object>();
    if (!method.Get("configurable").ToBoolean()) continue;
    Napi::Object accessor = Napi::Object::New(env);
    accessor.Set("get", method.Get("value"));
    accessor.Set("configurable", false);
    define.Call({prototype, name, accessor});
  }
  return constructor;
}

}  // namespace lockstep::binding
