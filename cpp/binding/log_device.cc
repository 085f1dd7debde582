// The JavaScript class LogDevice: sessions of one device, one at a time, and the events of the last.
#include <napi.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>

#include "binding/arguments.h"
#include "binding/callback.h"
#include "binding/device_session.h"
#include "binding/getters.h"
#include "binding/instance.h"
#include "binding/log_image.h"

namespace lockstep::binding {
namespace {

class LogDeviceWrap : public Napi::ObjectWrap<LogDeviceWrap>, private DeviceSession::Listener {
 public:
  static Napi::Function define(Napi::Env env) {
    using Self = LogDeviceWrap;
    return with_getters(DefineClass(env, "LogDevice",
                                    {
                                        InstanceMethod<&Self::writer>("writer", as_getter),
                                        InstanceMethod<&Self::closed>("closed", as_getter),
                                        InstanceMethod<&Self::bytes_written>("bytesWritten", as_getter),
                                        InstanceMethod<&Self::writes>("writesSubmitted", as_getter),
                                        InstanceMethod<&Self::barriers>("barriersSubmitted", as_getter),
                                        InstanceMethod<&Self::open>("open"),
                                        InstanceMethod<&Self::read>("read"),
                                        InstanceMethod<&Self::write>("write"),
                                        InstanceMethod<&Self::close>("close"),
                                    }));
  }

  explicit LogDeviceWrap(const Napi::CallbackInfo& info);
  ~LogDeviceWrap() override { give_up(); }

 private:
  /// The session, made when there is none; null when the process has no descriptor left.
  DeviceSession* session(Napi::Env env);
  void give_up() {
    if (session_ != nullptr) std::exchange(session_, nullptr)->abandon();
  }

  void opened(int error, const BlockFile* file, const std::string& reason) override;
  void ended(const LogIoDone& done) override;
  void busy(bool is_busy) override {
    if (is_busy) {
      reference(*this);
    } else {
      unreference(*this);
    }
  }

  // 0, or the errno with which the operation has ended: no event follows then.
  Napi::Value open(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& /*info*/) { give_up(); }
  Napi::Value writer(const Napi::CallbackInfo& info);
  Napi::Value closed(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), session_ == nullptr);
  }
  static Napi::Value number(const Napi::CallbackInfo& info, uint64_t value) {
    return Napi::Number::New(info.Env(), static_cast<double>(value));
  }
  Napi::Value bytes_written(const Napi::CallbackInfo& info) { return number(info, counters_->bytes_written); }
  Napi::Value writes(const Napi::CallbackInfo& info) { return number(info, counters_->writes); }
  Napi::Value barriers(const Napi::CallbackInfo& info) { return number(info, counters_->barriers); }

  LogWriter writer_ = LogWriter::automatic;
  std::shared_ptr<LogIoCounters> counters_ = std::make_shared<LogIoCounters>();
  std::shared_ptr<DeviceSession> session_;
  Napi::FunctionReference on_opened_;
  Napi::FunctionReference on_read_;
  Napi::FunctionReference on_written_;
};

Napi::FunctionReference event_function(const Napi::Object& events, const char* name) {
  const Napi::Value value = events.Get(name);
  if (!value.IsFunction()) throw_type(events.Env(), std::string(name) + " must be a function");
  return Napi::Persistent(value.As<Napi::Function>());
}

LogDeviceWrap::LogDeviceWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<LogDeviceWrap>(info) {
  const std::string kind = text_argument(info, 0);
  if (kind == "thread" || !uring_available()) {
    writer_ = LogWriter::thread;
  } else if (kind == "uring") {
    writer_ = LogWriter::uring;
  }
  if (kind != "auto" && kind != "uring" && kind != "thread") {
    throw_type(info.Env(), "a writer is auto, uring or thread");
  }
  const Napi::Object events = object_argument(info, 1);
  on_opened_ = event_function(events, "opened");
  on_read_ = event_function(events, "read");
  on_written_ = event_function(events, "written");
}

DeviceSession* LogDeviceWrap::session(Napi::Env env) {
  if (session_ == nullptr) session_ = DeviceSession::make(env, this, writer_, counters_);
  return session_.get();
}

Napi::Value begun(Napi::Env env, const DeviceSession* session) {
  return Napi::Number::New(env, session == nullptr ? EMFILE : 0);
}

Napi::Value LogDeviceWrap::open(const Napi::CallbackInfo& info) {
  const std::string name = text_argument(info, 0);
  std::optional<std::chrono::milliseconds> claim_wait_max;
  if (!info[1].IsNull()) claim_wait_max.emplace(integer_argument(info, 1, 0, UINT32_MAX));
  give_up();
  DeviceSession* const made = session(info.Env());
  if (made != nullptr) made->open(Instance::of(info.Env()).helpers, name, claim_wait_max);
  return begun(info.Env(), made);
}

Napi::Value LogDeviceWrap::read(const Napi::CallbackInfo& info) {
  const uint64_t offset = integer_argument(info, 0, 0, safe_integer_max);
  const uint64_t length = integer_argument(info, 1, 0, log_read_bytes_max);
  if (offset % 512 != 0 || length % 512 != 0 || length == 0) {
    throw_range(info.Env(), "offset and length of a read are multiples of 512");
  }
  DeviceSession* const made = session(info.Env());
  if (made != nullptr) made->read(offset, static_cast<uint32_t>(length));
  return begun(info.Env(), made);
}

Napi::Value LogDeviceWrap::write(const Napi::CallbackInfo& info) {
  const std::shared_ptr<LogMemory> memory = LogImageWrap::memory_of(info[0]);
  const bool durable = boolean_argument(info, 1);
  if (memory->closed()) throw_closed(info.Env(), "log image");
  const auto runs = memory->image().runs();
  DeviceSession* const made = session(info.Env());
  if (made != nullptr)
    made->write({runs.begin(), runs.end()}, std::make_shared<PinnedImage>(memory), durable);
  return begun(info.Env(), made);
}

Napi::Value LogDeviceWrap::writer(const Napi::CallbackInfo& info) {
  const bool thread = writer_ == LogWriter::thread || (session_ != nullptr && session_->uses_thread());
  if (thread) return Napi::String::New(info.Env(), "thread");
  const bool open = session_ != nullptr && session_->is_open();
  return Napi::String::New(info.Env(), writer_ == LogWriter::automatic && !open ? "auto" : "uring");
}

Napi::Value describe(Napi::Env env, const BlockFile* file) {
  if (file == nullptr) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("identity", file->identity);
  object.Set("major", file->device_major);
  object.Set("minor", file->device_minor);
  object.Set("bytes", static_cast<double>(file->bytes));
  object.Set("logicalBlockBytes", file->logical_block_bytes);
  return object;
}

void LogDeviceWrap::opened(int error, const BlockFile* file, const std::string& reason) {
  const Napi::Env env = Env();
  run_from_loop(env, [&] {
    call_from_loop(on_opened_,
                   {Napi::Number::New(env, error), describe(env, file), Napi::String::New(env, reason)});
  });
}

void LogDeviceWrap::ended(const LogIoDone& done) {
  const Napi::Env env = Env();
  // A scope for each, since one wake may end many.
  const Napi::HandleScope scope(env);
  run_from_loop(env, [&] {
    const Napi::Number error = Napi::Number::New(env, done.error);
    if (!done.is_read) {
      call_from_loop(on_written_, {error});
      return;
    }
    // A copy: JavaScript could keep the array, and the buffer goes on to the next read.
    Napi::Uint8Array bytes = Napi::Uint8Array::New(env, done.bytes.size());
    std::copy(done.bytes.begin(), done.bytes.end(), bytes.Data());
    call_from_loop(on_read_, {error, Napi::Number::New(env, static_cast<double>(done.offset)), bytes});
  });
}

}  // namespace

void define_log_device(Napi::Env env, Napi::Object exports) {
  exports.Set("LogDevice", LogDeviceWrap::define(env));
}

}  // namespace lockstep::binding
