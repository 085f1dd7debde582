// What one environment (the main thread, or one worker) has of the addon. Nothing is shared between
// environments but code.
#pragma once

#include <napi.h>

#include <memory>

#include "os/helper_threads.h"

namespace lockstep::binding {

class LogMemory;

struct Instance {
  Napi::FunctionReference region_map;
  Napi::FunctionReference log_image;
  Napi::FunctionReference log_record;
  Napi::FunctionReference state_store;
  Napi::FunctionReference frame_channel;
  Napi::FunctionReference pid_file;

  /// Taken by the constructor that C++ is calling at the moment: what the new JavaScript object stands for.
  /// JavaScript cannot call such a constructor with success, because then there is nothing here.
  std::shared_ptr<void> handover;

  HelperThreads helpers;

  static Instance& of(Napi::Env env) { return *env.GetInstanceData<Instance>(); }

  /// Makes a JavaScript object for `what`.
  Napi::Object wrap(const Napi::FunctionReference& constructor, std::shared_ptr<void> what) {
    handover = std::move(what);
    try {
      return constructor.New({});
    } catch (...) {
      // Not even begun (no stack left, say): the next constructor of another class must not find it.
      handover = nullptr;
      throw;
    }
  }
  /// What `wrap` handed over, or null.
  template <typename T>
  std::shared_ptr<T> take() {
    return std::static_pointer_cast<T>(std::exchange(handover, nullptr));
  }
};

// Each defines its class, or functions, and puts it into `exports`.
void define_region_map(Napi::Env env, Napi::Object exports);
void define_region_owners(Napi::Env env, Napi::Object exports);
void define_sticky_marks(Napi::Env env, Napi::Object exports);
void define_log_image(Napi::Env env, Napi::Object exports);
void define_log_record(Napi::Env env, Napi::Object exports);
void define_state_store(Napi::Env env, Napi::Object exports);
void define_frame_channel(Napi::Env env, Napi::Object exports);
void define_log_device(Napi::Env env, Napi::Object exports);
void define_device_mapper(Napi::Env env, Napi::Object exports);
void define_checksum(Napi::Env env, Napi::Object exports);
void define_cpg_group(Napi::Env env, Napi::Object exports);
void define_cpg_names(Napi::Env env, Napi::Object exports);
void define_process_functions(Napi::Env env, Napi::Object exports);

}  // namespace lockstep::binding
