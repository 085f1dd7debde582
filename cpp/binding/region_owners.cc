// The JavaScript class RegionOwners.
#include <napi.h>

#include <optional>

#include "binding/arguments.h"
#include "binding/getters.h"
#include "binding/instance.h"
#include "core/owners.h"

namespace lockstep::binding {
namespace {

class RegionOwnersWrap : public Napi::ObjectWrap<RegionOwnersWrap> {
 public:
  static Napi::Function define(Napi::Env env) {
    using Self = RegionOwnersWrap;
    return with_getters(DefineClass(env, "RegionOwners",
                                    {
                                        InstanceMethod<&Self::size>("size", as_getter),
                                        InstanceMethod<&Self::capacity>("capacity", as_getter),
                                        InstanceMethod<&Self::closed>("closed", as_getter),
                                        InstanceMethod<&Self::add>("add"),
                                        InstanceMethod<&Self::remove>("remove"),
                                        InstanceMethod<&Self::has>("has"),
                                        InstanceMethod<&Self::owner_count>("ownerCount"),
                                        InstanceMethod<&Self::owned_by_other>("ownedByOther"),
                                        InstanceMethod<&Self::remove_node>("removeNode"),
                                        InstanceMethod<&Self::list>("list"),
                                        InstanceMethod<&Self::list_range>("listRange"),
                                        InstanceMethod<&Self::clear>("clear"),
                                        InstanceMethod<&Self::close>("close"),
                                    }));
  }

  explicit RegionOwnersWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RegionOwnersWrap>(info) {
    region_count_ = integer_argument(info, 1, 1, region_count_max);
    owners_.emplace(integer_argument(info, 0, 1, owners_capacity_max));
  }

 private:
  Owners& owners(const Napi::CallbackInfo& info) {
    if (!owners_) throw_closed(info.Env(), "owners table");
    return *owners_;
  }
  static uint32_t node(const Napi::CallbackInfo& info) {
    return static_cast<uint32_t>(integer_argument(info, 0, 0, node_max));
  }
  uint64_t region(const Napi::CallbackInfo& info, size_t index) const {
    return integer_argument(info, index, 0, region_count_ - 1);
  }
  static Napi::Value number(const Napi::CallbackInfo& info, uint64_t value) {
    return Napi::Number::New(info.Env(), static_cast<double>(value));
  }
  static Napi::Value boolean(const Napi::CallbackInfo& info, bool value) {
    return Napi::Boolean::New(info.Env(), value);
  }

  Napi::Value size(const Napi::CallbackInfo& info) { return number(info, owners(info).size()); }
  Napi::Value capacity(const Napi::CallbackInfo& info) { return number(info, owners(info).capacity()); }
  Napi::Value closed(const Napi::CallbackInfo& info) { return boolean(info, !owners_.has_value()); }
  Napi::Value add(const Napi::CallbackInfo& info) {
    return boolean(info, owners(info).add(node(info), regions_argument(info, 1, region_count_)));
  }
  Napi::Value remove(const Napi::CallbackInfo& info) {
    return number(info, owners(info).remove(node(info), regions_argument(info, 1, region_count_)));
  }
  Napi::Value has(const Napi::CallbackInfo& info) {
    return boolean(info, owners(info).has(node(info), region(info, 1)));
  }
  Napi::Value owner_count(const Napi::CallbackInfo& info) {
    return number(info, owners(info).owner_count(region(info, 0)));
  }
  Napi::Value owned_by_other(const Napi::CallbackInfo& info) {
    return boolean(info, owners(info).owned_by_other(node(info), region(info, 1)));
  }
  Napi::Value remove_node(const Napi::CallbackInfo& info) {
    return number(info, owners(info).remove_node(node(info)));
  }
  Napi::Value list(const Napi::CallbackInfo& info) {
    const uint64_t cursor = integer_argument(info, 1, 0, safe_integer_max);
    const Owners::Listing listing = owners(info).list(node(info), cursor, doubles_argument(info, 2));
    Napi::Array result = Napi::Array::New(info.Env(), 2);
    result.Set(uint32_t{0}, number(info, listing.written));
    result.Set(uint32_t{1}, number_or_minus_one(info.Env(), listing.next));
    return result;
  }
  Napi::Value list_range(const Napi::CallbackInfo& info) {
    const uint64_t to = integer_argument(info, 1, 0, region_count_);
    const uint64_t from = integer_argument(info, 0, 0, to);
    const std::span<double> regions = doubles_argument(info, 2);
    const std::span<double> nodes = doubles_argument(info, 3);
    if (regions.size() != nodes.size()) throw_range(info.Env(), "regions and nodes differ in length");
    return number(info, owners(info).list_range(from, to, regions, nodes));
  }
  void clear(const Napi::CallbackInfo& info) { owners(info).clear(); }
  void close(const Napi::CallbackInfo& /*info*/) { owners_.reset(); }

  uint64_t region_count_ = 0;
  std::optional<Owners> owners_;
};

}  // namespace

void define_region_owners(Napi::Env env, Napi::Object exports) {
  exports.Set("RegionOwners", RegionOwnersWrap::define(env));
}

}  // namespace lockstep::binding
