// Read-only properties of the JavaScript classes.
//
// Node gives an accessor no signature, so V8 would call it on an object of any class, which is then taken for
// what it is not: a wild pointer. Methods have a signature. So properties are defined as methods with the
// attribute `as_getter`, and made accessors of those methods here.
#pragma once

#include <napi.h>

namespace lockstep::binding {

inline constexpr napi_property_attributes as_getter = napi_configurable;

/// Of a class that was just defined: its methods with `as_getter` become accessors.
Napi::Function with_getters(Napi::Function constructor);

}  // namespace lockstep::binding
