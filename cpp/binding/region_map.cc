#include "binding/region_map.h"

#include "binding/arguments.h"
#include "binding/getters.h"
#include "binding/instance.h"

namespace lockstep::binding {
namespace {

constexpr napi_type_tag type_tag = {0x6c6f636b73746570, 0x0000000000000001};

Napi::Value number(const Napi::CallbackInfo& info, uint64_t value) {
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

Napi::Value boolean(const Napi::CallbackInfo& info, bool value) {
  return Napi::Boolean::New(info.Env(), value);
}

}  // namespace

Napi::Function RegionMapWrap::define(Napi::Env env) {
  using Self = RegionMapWrap;
  return with_getters(DefineClass(env, "RegionMap",
                                  {
                                      InstanceMethod<&Self::region_count>("regionCount", as_getter),
                                      InstanceMethod<&Self::clean_count>("cleanCount", as_getter),
                                      InstanceMethod<&Self::sync_count>("syncCount", as_getter),
                                      InstanceMethod<&Self::held_count>("heldCount", as_getter),
                                      InstanceMethod<&Self::closed>("closed", as_getter),
                                      InstanceMethod<&Self::sparse>("sparse", as_getter),
                                      InstanceMethod<&Self::is_clean>("isClean"),
                                      InstanceMethod<&Self::is_in_sync>("isInSync"),
                                      InstanceMethod<&Self::is_held>("isHeld"),
                                      InstanceMethod<&Self::all_held>("allHeld"),
                                      InstanceMethod<&Self::reserve>("reserve"),
                                      InstanceMethod<&Self::hold>("hold"),
                                      InstanceMethod<&Self::unhold>("unhold"),
                                      InstanceMethod<&Self::mark_dirty>("markDirty"),
                                      InstanceMethod<&Self::mark_clean>("markClean"),
                                      InstanceMethod<&Self::set_in_sync>("setInSync"),
                                      InstanceMethod<&Self::next_out_of_sync>("nextOutOfSync"),
                                      InstanceMethod<&Self::next_out_of_sync_wrapped>("nextOutOfSyncWrapped"),
                                      InstanceMethod<&Self::next_dirty>("nextDirty"),
                                      InstanceMethod<&Self::next_held>("nextHeld"),
                                      InstanceMethod<&Self::fill_clean>("fillClean"),
                                      InstanceMethod<&Self::fill_in_sync>("fillInSync"),
                                      InstanceMethod<&Self::copy_clean_to_in_sync>("copyCleanToInSync"),
                                      InstanceMethod<&Self::unhold_all>("unholdAll"),
                                      InstanceMethod<&Self::export_bits>("exportBits"),
                                      InstanceMethod<&Self::import_bits>("importBits"),
                                      InstanceMethod<&Self::close>("close"),
                                  }));
}

RegionMapWrap::RegionMapWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RegionMapWrap>(info) {
  memory_ = Instance::of(info.Env()).take<LogMemory>();
  if (memory_ == nullptr) {
    const uint64_t count = integer_argument(info, 0, 1, region_count_max);
    Mapping mapping;
    const int error = Mapping::anonymous(StateLayout::of(count).total_bytes, mapping);
    if (error != 0) throw_errno(info.Env(), error, "cannot map " + std::to_string(count) + " regions");
    memory_ = std::make_shared<LogMemory>(std::move(mapping), count);
  }
  info.This().As<Napi::Object>().TypeTag(&type_tag);
}

std::shared_ptr<LogMemory> RegionMapWrap::memory_of(Napi::Value value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&type_tag)) {
    throw_type(value.Env(), "not a region map of this addon");
  }
  return Unwrap(value.As<Napi::Object>())->memory_;
}

LogMemory& RegionMapWrap::open(const Napi::CallbackInfo& info) const {
  if (memory_->closed()) throw_closed(info.Env(), "region map");
  return *memory_;
}

std::span<const double> RegionMapWrap::regions(const Napi::CallbackInfo& info) const {
  return regions_argument(info, 0, open(info).region_count());
}

uint64_t RegionMapWrap::region(const Napi::CallbackInfo& info) const {
  return integer_argument(info, 0, 0, open(info).region_count() - 1);
}

uint64_t RegionMapWrap::from(const Napi::CallbackInfo& info) const {
  return integer_argument(info, 0, 0, safe_integer_max);
}

Napi::Value RegionMapWrap::region_count(const Napi::CallbackInfo& info) {
  return number(info, memory_->region_count());
}
Napi::Value RegionMapWrap::clean_count(const Napi::CallbackInfo& info) {
  return number(info, map(info).clean_count());
}
Napi::Value RegionMapWrap::sync_count(const Napi::CallbackInfo& info) {
  return number(info, map(info).sync_count());
}
Napi::Value RegionMapWrap::held_count(const Napi::CallbackInfo& info) {
  return number(info, map(info).held_count());
}
Napi::Value RegionMapWrap::closed(const Napi::CallbackInfo& info) { return boolean(info, memory_->closed()); }

Napi::Value RegionMapWrap::sparse(const Napi::CallbackInfo& info) {
  return boolean(info, open(info).is_sparse());
}
Napi::Value RegionMapWrap::is_clean(const Napi::CallbackInfo& info) {
  return boolean(info, map(info).is_clean(region(info)));
}
Napi::Value RegionMapWrap::is_in_sync(const Napi::CallbackInfo& info) {
  return boolean(info, map(info).is_in_sync(region(info)));
}
Napi::Value RegionMapWrap::is_held(const Napi::CallbackInfo& info) {
  return boolean(info, map(info).is_held(region(info)));
}
Napi::Value RegionMapWrap::all_held(const Napi::CallbackInfo& info) {
  return boolean(info, map(info).all_held(regions(info)));
}
Napi::Value RegionMapWrap::reserve(const Napi::CallbackInfo& info) {
  return boolean(info, open(info).ensure_room(regions(info)) == 0);
}
Napi::Value RegionMapWrap::hold(const Napi::CallbackInfo& info) {
  return number(info, map(info).hold(regions(info)));
}
Napi::Value RegionMapWrap::unhold(const Napi::CallbackInfo& info) {
  return number(info, map(info).unhold(regions(info)));
}
Napi::Value RegionMapWrap::mark_dirty(const Napi::CallbackInfo& info) {
  return number(info, map(info).mark_dirty(regions(info)));
}
Napi::Value RegionMapWrap::mark_clean(const Napi::CallbackInfo& info) {
  return number(info, map(info).mark_clean(regions(info)));
}
Napi::Value RegionMapWrap::set_in_sync(const Napi::CallbackInfo& info) {
  return boolean(info, map(info).set_in_sync(region(info), boolean_argument(info, 1)));
}

Napi::Value RegionMapWrap::next_out_of_sync(const Napi::CallbackInfo& info) {
  return number_or_minus_one(info.Env(), map(info).next_out_of_sync(from(info)));
}
Napi::Value RegionMapWrap::next_out_of_sync_wrapped(const Napi::CallbackInfo& info) {
  return number_or_minus_one(info.Env(), map(info).sync().find_next_wrapped(from(info), false));
}
Napi::Value RegionMapWrap::next_dirty(const Napi::CallbackInfo& info) {
  return number_or_minus_one(info.Env(), map(info).next_dirty(from(info)));
}
Napi::Value RegionMapWrap::next_held(const Napi::CallbackInfo& info) {
  return number_or_minus_one(info.Env(), map(info).next_held(from(info)));
}

void RegionMapWrap::fill_clean(const Napi::CallbackInfo& info) {
  RegionMap& target = map(info);
  const uint64_t to = integer_argument(info, 1, 0, target.region_count());
  target.fill_clean(integer_argument(info, 0, 0, to), to, boolean_argument(info, 2));
}
void RegionMapWrap::fill_in_sync(const Napi::CallbackInfo& info) {
  RegionMap& target = map(info);
  const uint64_t to = integer_argument(info, 1, 0, target.region_count());
  target.fill_in_sync(integer_argument(info, 0, 0, to), to, boolean_argument(info, 2));
}
void RegionMapWrap::copy_clean_to_in_sync(const Napi::CallbackInfo& info) {
  map(info).copy_clean_to_in_sync();
}
void RegionMapWrap::unhold_all(const Napi::CallbackInfo& info) { map(info).unhold_all(); }

// A copy of a log goes from node to node in the form that a log device has, for clean (0) and sync (1) bits.
Napi::Value RegionMapWrap::export_bits(const Napi::CallbackInfo& info) {
  const RegionMap& source = map(info);
  const bool sync = integer_argument(info, 0, 0, 1) == 1;
  const uint64_t first_byte = integer_argument(info, 1, 0, source.region_count() / 8);
  (sync ? source.sync() : source.clean()).read_bytes(first_byte, bytes_argument(info, 2));
  return info.Env().Undefined();
}

Napi::Value RegionMapWrap::import_bits(const Napi::CallbackInfo& info) {
  LogMemory& memory = open(info);
  const bool sync = integer_argument(info, 0, 0, 1) == 1;
  const uint64_t first_byte = integer_argument(info, 1, 0, memory.region_count() / 8);
  const std::span<const uint8_t> bytes = bytes_argument(info, 2);
  if (first_byte % 8 != 0) throw_range(info.Env(), "bits are taken in whole words");
  if (memory.ensure_room_for_bytes(first_byte, bytes, sync) != 0)
    return Napi::Boolean::New(info.Env(), false);
  memory.map().import_bits(sync, first_byte, bytes);
  return Napi::Boolean::New(info.Env(), true);
}

void RegionMapWrap::close(const Napi::CallbackInfo& /*info*/) {
  if (!memory_->has_record()) memory_->close();
}

void define_region_map(Napi::Env env, Napi::Object exports) {
  const Napi::Function constructor = RegionMapWrap::define(env);
  Instance::of(env).region_map = Napi::Persistent(constructor);
  exports.Set("RegionMap", constructor);
}

}  // namespace lockstep::binding
