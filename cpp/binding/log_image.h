// The JavaScript class LogImage.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/log_memory.h"

namespace lockstep::binding {

class LogImageWrap : public Napi::ObjectWrap<LogImageWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  /// The memory of a LogImage object; throws on anything else.
  static std::shared_ptr<LogMemory> memory_of(Napi::Value value);

  explicit LogImageWrap(const Napi::CallbackInfo& info);

 private:
  LogImage& image(const Napi::CallbackInfo& info) const;
  /// The image for a call that changes the plan: not while the plan is being written.
  LogImage& image_at_rest(const Napi::CallbackInfo& info) const;
  const LogImage::Run& run(const Napi::CallbackInfo& info) const;

  Napi::Value closed(const Napi::CallbackInfo& info);
  Napi::Value area_bytes(const Napi::CallbackInfo& info);
  Napi::Value changed_blocks(const Napi::CallbackInfo& info);
  Napi::Value run_count(const Napi::CallbackInfo& info);
  void set_logical_block_bytes(const Napi::CallbackInfo& info);
  Napi::Value plan(const Napi::CallbackInfo& info);
  Napi::Value plan_all(const Napi::CallbackInfo& info);
  void unplan(const Napi::CallbackInfo& info);
  Napi::Value run_offset(const Napi::CallbackInfo& info);
  Napi::Value run_bytes(const Napi::CallbackInfo& info);
  void encode_run(const Napi::CallbackInfo& info);
  void set_session(const Napi::CallbackInfo& info);
  void set_recorded_region_count(const Napi::CallbackInfo& info);
  Napi::Value decode_head(const Napi::CallbackInfo& info);
  Napi::Value import_bytes(const Napi::CallbackInfo& info);
  Napi::Value first_difference(const Napi::CallbackInfo& info);

  std::shared_ptr<LogMemory> memory_;
};

}  // namespace lockstep::binding
