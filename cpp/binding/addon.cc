// The addon's entry: makes this environment's instance and defines the classes.
#include <dlfcn.h>
#include <napi.h>

#include "binding/instance.h"

namespace lockstep::binding {
namespace {

/// Keeps this library loaded until the process ends. Node unloads an addon with the last worker that uses it,
/// and a helper thread that hangs in a system call would come back to code that is gone.
void stay_loaded() {
  Dl_info self = {};
  if (dladdr(reinterpret_cast<const void*>(&stay_loaded), &self) == 0 || self.dli_fname == nullptr) return;
  // The handle is meant to stay open.
  [[maybe_unused]] const void* handle = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  stay_loaded();
  env.SetInstanceData(new Instance);
  define_region_map(env, exports);
  define_region_owners(env, exports);
  define_sticky_marks(env, exports);
  define_log_image(env, exports);
  define_log_record(env, exports);
  define_state_store(env, exports);
  define_frame_channel(env, exports);
  define_log_device(env, exports);
  define_device_mapper(env, exports);
  define_checksum(env, exports);
  define_cpg_group(env, exports);
  define_cpg_names(env, exports);
  define_process_functions(env, exports);
  return exports;
}

}  // namespace
}  // namespace lockstep::binding

// NOLINTNEXTLINE(misc-use-anonymous-namespace)
static Napi::Object lockstep_init(Napi::Env env, Napi::Object exports) {
  return lockstep::binding::init(env, exports);
}
NODE_API_MODULE(lockstep, lockstep_init)
