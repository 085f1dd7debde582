// The JavaScript class LogRecord: one state record, its words and the objects over its bits.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "binding/log_memory.h"
#include "os/state_store.h"

namespace lockstep::binding {

/// A store and the memories that were handed out of it, so that closing the store closes them.
struct OpenStore {
  std::unique_ptr<StateStore> store;
  std::vector<std::weak_ptr<LogMemory>> memories;

  std::shared_ptr<LogMemory> hand_out(std::shared_ptr<StateSlot> slot);
  void close_memories() noexcept;
};

/// What a LogRecord object stands for.
struct RecordHandover {
  std::shared_ptr<OpenStore> store;
  std::shared_ptr<LogMemory> memory;
};

class LogRecordWrap : public Napi::ObjectWrap<LogRecordWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LogRecordWrap(const Napi::CallbackInfo& info);

 private:
  StateRecord record(const Napi::CallbackInfo& info) const;
  StateRecord::Word word(const Napi::CallbackInfo& info) const;

  Napi::Value uuid(const Napi::CallbackInfo& info);
  Napi::Value luid_high(const Napi::CallbackInfo& info);
  Napi::Value luid_low(const Napi::CallbackInfo& info);
  Napi::Value region_count(const Napi::CallbackInfo& info);
  Napi::Value region_size(const Napi::CallbackInfo& info);
  Napi::Value constructor_text(const Napi::CallbackInfo& info);
  Napi::Value disk(const Napi::CallbackInfo& info);
  Napi::Value map(const Napi::CallbackInfo& info);
  Napi::Value image(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  void store(const Napi::CallbackInfo& info);
  Napi::Value load_members(const Napi::CallbackInfo& info);
  void store_members(const Napi::CallbackInfo& info);
  void remove(const Napi::CallbackInfo& info);

  std::shared_ptr<OpenStore> store_;
  std::shared_ptr<LogMemory> memory_;
};

}  // namespace lockstep::binding
