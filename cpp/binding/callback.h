// What the event loop's callbacks need of JavaScript: to call it, and to let go of objects. Nothing here
// throws, because there is nobody above a callback of the loop to catch it.
//
// What a callee throws becomes an uncaught exception, which ends the engine: the state file makes that safe,
// and going on would not be. An environment that is ending (a worker that is terminated, or calls
// process.exit in such a callee) refuses everything from then on, also to make a number; there is nobody left
// to tell, so that is no error.
#pragma once

#include <napi.h>

#include <cstdint>
#include <initializer_list>

namespace lockstep::binding {

/// Runs what makes values for JavaScript and hands them over.
template <typename Body>
void run_from_loop(napi_env env, const Body& body) noexcept {
  try {
    body();
  } catch (const Napi::Error& error) {
    // An environment that is ending gives no error object, or none that can be looked at.
    try {
      if (!error.IsEmpty()) napi_fatal_exception(env, error.Value());
    } catch (const Napi::Error&) {
      return;
    }
  }
}

/// Needs an open handle scope.
inline void call_from_loop(const Napi::FunctionReference& function,
                           std::initializer_list<napi_value> arguments) noexcept {
  if (function.IsEmpty()) return;
  const napi_env env = function.Env();
  napi_value global = nullptr;
  napi_value callee = nullptr;
  if (napi_get_global(env, &global) != napi_ok) return;
  if (napi_get_reference_value(env, function, &callee) != napi_ok || callee == nullptr) return;
  napi_value result = nullptr;
  const napi_status status =
      napi_make_callback(env, nullptr, global, callee, arguments.size(), arguments.begin(), &result);
  if (status != napi_pending_exception) return;
  napi_value thrown = nullptr;
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok && thrown != nullptr) {
    napi_fatal_exception(env, thrown);
  }
}

/// Keeps an object from the garbage collector, and lets it go again.
template <typename T>
void reference(const Napi::ObjectWrap<T>& object) noexcept {
  uint32_t count = 0;
  // What can fail is an object that is gone.
  static_cast<void>(napi_reference_ref(object.Env(), object, &count));
}
template <typename T>
void unreference(const Napi::ObjectWrap<T>& object) noexcept {
  uint32_t count = 0;
  static_cast<void>(napi_reference_unref(object.Env(), object, &count));
}

}  // namespace lockstep::binding
