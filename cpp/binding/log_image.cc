#include "binding/log_image.h"

#include "binding/arguments.h"
#include "binding/getters.h"
#include "binding/instance.h"
#include "binding/region_map.h"

namespace lockstep::binding {
namespace {

constexpr napi_type_tag type_tag = {0x6c6f636b73746570, 0x0000000000000002};

Napi::Value number(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

std::string text_field(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsString()) throw_type(object.Env(), std::string(name) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

uint64_t integer_field(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= static_cast<double>(safe_integer_max)) ||
      number != static_cast<double>(static_cast<uint64_t>(number))) {
    throw_type(object.Env(), std::string(name) + " must be an integer from 0");
  }
  return static_cast<uint64_t>(number);
}

const char* kind_text(LogHeaderKind kind) {
  switch (kind) {
    case LogHeaderKind::valid:
      return "valid";
    case LogHeaderKind::none:
      return "none";
    case LogHeaderKind::unsupported:
      return "unsupported";
  }
  return "none";
}

Napi::Object header_object(Napi::Env env, const LogHeader& header) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("kind", kind_text(header.kind));
  object.Set("version", number(env, header.version));
  object.Set("regionCount", number(env, header.region_count));
  return object;
}

Napi::Object session_object(Napi::Env env, const LogSession& session) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("uuid", session.uuid);
  object.Set("writerEpoch", number(env, session.writer_epoch));
  object.Set("nodeName", session.node_name);
  object.Set("bootId", session.boot_id);
  object.Set("resumeCount", number(env, session.resume_count));
  object.Set("regionSizeSectors", number(env, session.region_size_sectors));
  object.Set("closed", session.closed);
  return object;
}

}  // namespace

Napi::Function LogImageWrap::define(Napi::Env env) {
  using Self = LogImageWrap;
  return with_getters(
      DefineClass(env, "LogImage",
                  {
                      InstanceMethod<&Self::closed>("closed", as_getter),
                      InstanceMethod<&Self::area_bytes>("areaBytes", as_getter),
                      InstanceMethod<&Self::changed_blocks>("changedBlocks", as_getter),
                      InstanceMethod<&Self::run_count>("runCount", as_getter),
                      InstanceMethod<&Self::set_logical_block_bytes>("setLogicalBlockBytes"),
                      InstanceMethod<&Self::plan>("plan"),
                      InstanceMethod<&Self::plan_all>("planAll"),
                      InstanceMethod<&Self::unplan>("unplan"),
                      InstanceMethod<&Self::run_offset>("runOffset"),
                      InstanceMethod<&Self::run_bytes>("runBytes"),
                      InstanceMethod<&Self::encode_run>("encodeRun"),
                      InstanceMethod<&Self::set_session>("setSession"),
                      InstanceMethod<&Self::set_recorded_region_count>("setRecordedRegionCount"),
                      InstanceMethod<&Self::decode_head>("decodeHead"),
                      InstanceMethod<&Self::import_bytes>("importBytes"),
                      InstanceMethod<&Self::first_difference>("firstDifference"),
                  }));
}

LogImageWrap::LogImageWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<LogImageWrap>(info) {
  memory_ = Instance::of(info.Env()).take<LogMemory>();
  if (memory_ == nullptr) memory_ = RegionMapWrap::memory_of(info[0]);
  if (memory_->closed()) throw_closed(info.Env(), "region map");
  info.This().As<Napi::Object>().TypeTag(&type_tag);
}

std::shared_ptr<LogMemory> LogImageWrap::memory_of(Napi::Value value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&type_tag)) {
    throw_type(value.Env(), "not a log image of this addon");
  }
  return Unwrap(value.As<Napi::Object>())->memory_;
}

LogImage& LogImageWrap::image(const Napi::CallbackInfo& info) const {
  if (memory_->closed()) throw_closed(info.Env(), "log image");
  return memory_->image();
}

LogImage& LogImageWrap::image_at_rest(const Napi::CallbackInfo& info) const {
  LogImage& image_now = image(info);
  if (memory_->pinned()) throw Napi::Error::New(info.Env(), "the plan before is still being written");
  return image_now;
}

const LogImage::Run& LogImageWrap::run(const Napi::CallbackInfo& info) const {
  const auto runs = image(info).runs();
  if (runs.empty()) throw_range(info.Env(), "the plan is empty");
  return runs[integer_argument(info, 0, 0, runs.size() - 1)];
}

Napi::Value LogImageWrap::closed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), memory_->closed());
}
Napi::Value LogImageWrap::area_bytes(const Napi::CallbackInfo& info) {
  return number(info.Env(), image(info).area_bytes());
}
Napi::Value LogImageWrap::changed_blocks(const Napi::CallbackInfo& info) {
  return number(info.Env(), image(info).changed_blocks());
}
Napi::Value LogImageWrap::run_count(const Napi::CallbackInfo& info) {
  return number(info.Env(), image(info).run_count());
}

void LogImageWrap::set_logical_block_bytes(const Napi::CallbackInfo& info) {
  LogImage& target = image_at_rest(info);
  if (!target.set_logical_block_bytes(integer_argument(info, 0, 0, block_bytes))) {
    throw_range(info.Env(), "not a logical block size");
  }
}

Napi::Value LogImageWrap::plan(const Napi::CallbackInfo& info) {
  return number(info.Env(), image_at_rest(info).plan());
}
Napi::Value LogImageWrap::plan_all(const Napi::CallbackInfo& info) {
  return number(info.Env(), image_at_rest(info).plan_all());
}
void LogImageWrap::unplan(const Napi::CallbackInfo& info) { image_at_rest(info).unplan(); }

Napi::Value LogImageWrap::run_offset(const Napi::CallbackInfo& info) {
  return number(info.Env(), run(info).offset);
}
Napi::Value LogImageWrap::run_bytes(const Napi::CallbackInfo& info) {
  return number(info.Env(), run(info).bytes);
}

void LogImageWrap::encode_run(const Napi::CallbackInfo& info) {
  const LogImage::Run planned = run(info);
  const std::span<uint8_t> into = bytes_argument(info, 1);
  if (into.size() < planned.bytes) throw_range(info.Env(), "the array is shorter than the run");
  image(info).encode(planned.offset, into.first(planned.bytes));
}

void LogImageWrap::set_session(const Napi::CallbackInfo& info) {
  if (info[0].IsNull()) {
    image(info).clear_session();
    return;
  }
  const Napi::Object object = object_argument(info, 0);
  LogSession session;
  session.uuid = text_field(object, "uuid");
  session.writer_epoch = integer_field(object, "writerEpoch");
  session.node_name = text_field(object, "nodeName");
  session.boot_id = text_field(object, "bootId");
  session.resume_count = integer_field(object, "resumeCount");
  const uint64_t sectors = integer_field(object, "regionSizeSectors");
  // What has no room in the record is not said.
  session.region_size_sectors = sectors <= UINT32_MAX ? static_cast<uint32_t>(sectors) : 0;
  session.closed = object.Get("closed").ToBoolean();
  // Only now: a getter of the object may have closed the image.
  LogImage& target = image(info);
  if (!target.set_session(session)) throw_range(info.Env(), "a text does not fit a session record");
}

void LogImageWrap::set_recorded_region_count(const Napi::CallbackInfo& info) {
  LogImage& target = image(info);
  target.set_recorded_region_count(integer_argument(info, 0, 0, safe_integer_max));
}

Napi::Value LogImageWrap::decode_head(const Napi::CallbackInfo& info) {
  static_cast<void>(image(info));
  const LogImage::Head head = LogImage::decode_head(bytes_argument(info, 0));
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("header", header_object(info.Env(), head.header));
  if (head.session) {
    object.Set("session", session_object(info.Env(), *head.session));
  } else {
    object.Set("session", info.Env().Null());
  }
  return object;
}

Napi::Value LogImageWrap::import_bytes(const Napi::CallbackInfo& info) {
  LogImage& target = image(info);
  const uint64_t offset = integer_argument(info, 0, 0, safe_integer_max);
  if (offset % 512 != 0) throw_range(info.Env(), "the offset is not a multiple of 512");
  const std::span<const uint8_t> bytes = bytes_argument(info, 1);
  const uint64_t limit = integer_argument(info, 2, 0, safe_integer_max);
  const bool room = memory_->ensure_room_for_import(offset, bytes) == 0;
  if (room) target.import_bytes(offset, bytes, limit);
  return Napi::Boolean::New(info.Env(), room);
}

Napi::Value LogImageWrap::first_difference(const Napi::CallbackInfo& info) {
  LogImage& target = image(info);
  const uint64_t offset = integer_argument(info, 0, 0, safe_integer_max);
  return number_or_minus_one(info.Env(), target.first_difference(offset, bytes_argument(info, 1)));
}

void define_log_image(Napi::Env env, Napi::Object exports) {
  const Napi::Function constructor = LogImageWrap::define(env);
  Instance::of(env).log_image = Napi::Persistent(constructor);
  exports.Set("LogImage", constructor);
}

}  // namespace lockstep::binding
