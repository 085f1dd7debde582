// The JavaScript class RegionMap: region numbers in, counts and answers out. Everything is checked here; the
// core takes a region outside its map for a fault of the program and ends it.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/log_memory.h"

namespace lockstep::binding {

class RegionMapWrap : public Napi::ObjectWrap<RegionMapWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  /// The memory of a RegionMap object; throws on anything else.
  static std::shared_ptr<LogMemory> memory_of(Napi::Value value);

  explicit RegionMapWrap(const Napi::CallbackInfo& info);

 private:
  LogMemory& open(const Napi::CallbackInfo& info) const;
  RegionMap& map(const Napi::CallbackInfo& info) const { return open(info).map(); }
  std::span<const double> regions(const Napi::CallbackInfo& info) const;
  uint64_t region(const Napi::CallbackInfo& info) const;
  uint64_t from(const Napi::CallbackInfo& info) const;

  Napi::Value region_count(const Napi::CallbackInfo& info);
  Napi::Value clean_count(const Napi::CallbackInfo& info);
  Napi::Value sync_count(const Napi::CallbackInfo& info);
  Napi::Value held_count(const Napi::CallbackInfo& info);
  Napi::Value closed(const Napi::CallbackInfo& info);
  Napi::Value sparse(const Napi::CallbackInfo& info);
  Napi::Value is_clean(const Napi::CallbackInfo& info);
  Napi::Value is_in_sync(const Napi::CallbackInfo& info);
  Napi::Value is_held(const Napi::CallbackInfo& info);
  Napi::Value all_held(const Napi::CallbackInfo& info);
  Napi::Value reserve(const Napi::CallbackInfo& info);
  Napi::Value hold(const Napi::CallbackInfo& info);
  Napi::Value unhold(const Napi::CallbackInfo& info);
  Napi::Value mark_dirty(const Napi::CallbackInfo& info);
  Napi::Value mark_clean(const Napi::CallbackInfo& info);
  Napi::Value set_in_sync(const Napi::CallbackInfo& info);
  Napi::Value next_out_of_sync(const Napi::CallbackInfo& info);
  Napi::Value next_out_of_sync_wrapped(const Napi::CallbackInfo& info);
  Napi::Value next_dirty(const Napi::CallbackInfo& info);
  Napi::Value next_held(const Napi::CallbackInfo& info);
  void fill_clean(const Napi::CallbackInfo& info);
  void fill_in_sync(const Napi::CallbackInfo& info);
  void copy_clean_to_in_sync(const Napi::CallbackInfo& info);
  void unhold_all(const Napi::CallbackInfo& info);
  Napi::Value export_bits(const Napi::CallbackInfo& info);
  Napi::Value import_bits(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  std::shared_ptr<LogMemory> memory_;
};

}  // namespace lockstep::binding
