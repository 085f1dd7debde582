// The JavaScript class StickyMarks.
#include <napi.h>

#include <optional>

#include "binding/arguments.h"
#include "binding/getters.h"
#include "binding/instance.h"
#include "core/sticky_marks.h"

namespace lockstep::binding {
namespace {

class StickyMarksWrap : public Napi::ObjectWrap<StickyMarksWrap> {
 public:
  static Napi::Function define(Napi::Env env) {
    using Self = StickyMarksWrap;
    return with_getters(DefineClass(env, "StickyMarks",
                                    {
                                        InstanceMethod<&Self::size>("size", as_getter),
                                        InstanceMethod<&Self::capacity>("capacity", as_getter),
                                        InstanceMethod<&Self::closed>("closed", as_getter),
                                        InstanceMethod<&Self::add>("add"),
                                        InstanceMethod<&Self::remove>("remove"),
                                        InstanceMethod<&Self::has>("has"),
                                        InstanceMethod<&Self::expire>("expire"),
                                        InstanceMethod<&Self::oldest_ms>("oldestMs"),
                                        InstanceMethod<&Self::clear>("clear"),
                                        InstanceMethod<&Self::close>("close"),
                                    }));
  }

  explicit StickyMarksWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<StickyMarksWrap>(info) {
    region_count_ = integer_argument(info, 1, 1, region_count_max);
    marks_.emplace(integer_argument(info, 0, 0, sticky_capacity_max));
  }

 private:
  StickyMarks& marks(const Napi::CallbackInfo& info) {
    if (!marks_) throw_closed(info.Env(), "sticky marks");
    return *marks_;
  }
  uint64_t region(const Napi::CallbackInfo& info) const {
    return integer_argument(info, 0, 0, region_count_ - 1);
  }
  static Napi::Value number(const Napi::CallbackInfo& info, uint64_t value) {
    return Napi::Number::New(info.Env(), static_cast<double>(value));
  }
  static Napi::Value boolean(const Napi::CallbackInfo& info, bool value) {
    return Napi::Boolean::New(info.Env(), value);
  }

  Napi::Value size(const Napi::CallbackInfo& info) { return number(info, marks(info).size()); }
  Napi::Value capacity(const Napi::CallbackInfo& info) { return number(info, marks(info).capacity()); }
  Napi::Value closed(const Napi::CallbackInfo& info) { return boolean(info, !marks_.has_value()); }
  Napi::Value add(const Napi::CallbackInfo& info) {
    return number_or_minus_one(info.Env(), marks(info).add(region(info), number_argument(info, 1)));
  }
  Napi::Value remove(const Napi::CallbackInfo& info) {
    return boolean(info, marks(info).remove(region(info)));
  }
  Napi::Value has(const Napi::CallbackInfo& info) { return boolean(info, marks(info).has(region(info))); }
  Napi::Value expire(const Napi::CallbackInfo& info) {
    return number(info, marks(info).expire(number_argument(info, 0), doubles_argument(info, 1)));
  }
  Napi::Value oldest_ms(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), marks(info).oldest_ms());
  }
  void clear(const Napi::CallbackInfo& info) { marks_.emplace(marks(info).capacity()); }
  void close(const Napi::CallbackInfo& /*info*/) { marks_.reset(); }

  uint64_t region_count_ = 0;
  std::optional<StickyMarks> marks_;
};

}  // namespace

void define_sticky_marks(Napi::Env env, Napi::Object exports) {
  exports.Set("StickyMarks", StickyMarksWrap::define(env));
}

}  // namespace lockstep::binding
