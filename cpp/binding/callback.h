// What the event loop's callbacks need of JavaScript: to call it, and to let go of objects.
//
// What a callee throws becomes an uncaught exception, which ends the engine: the state file makes that safe,
// and going on would not be.
#pragma once

#include <napi.h>

#include <initializer_list>

namespace lockstep::binding {

/// Needs an open handle scope.
inline void call_from_loop(const Napi::FunctionReference& function,
                           std::initializer_list<napi_value> arguments) {
  if (function.IsEmpty()) return;
  const napi_env env = function.Env();
  napi_value global = nullptr;
  if (napi_get_global(env, &global) != napi_ok) return;
  napi_value result = nullptr;
  // An environment that is ending runs no JavaScript and says so; there is nobody left to tell.
  const napi_status status = napi_make_callback(env, nullptr, global, function.Value(), arguments.size(),
                                                arguments.begin(), &result);
  if (status != napi_pending_exception) return;
  napi_value thrown = nullptr;
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
}

/// Lets the garbage collector have an object that `Ref` kept from it. Unlike `Unref` it throws nothing.
template <typename T>
void unreference(Napi::ObjectWrap<T>& object) noexcept {
  uint32_t count = 0;
  // What can fail is an object that is gone, and then there is nothing to let go of.
  static_cast<void>(napi_reference_unref(object.Env(), object, &count));
}

}  // namespace lockstep::binding
