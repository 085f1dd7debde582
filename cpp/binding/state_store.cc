// The JavaScript class StateStore: makes and finds state records.
#include <napi.h>

#include <memory>

#include "binding/arguments.h"
#include "binding/getters.h"
#include "binding/instance.h"
#include "binding/log_record.h"
#include "os/state_store.h"

namespace lockstep::binding {
namespace {

constexpr napi_type_tag type_tag = {0x6c6f636b73746570, 0x0000000000000003};

class StateStoreWrap : public Napi::ObjectWrap<StateStoreWrap> {
 public:
  static Napi::Function define(Napi::Env env) {
    using Self = StateStoreWrap;
    return with_getters(DefineClass(env, "StateStore",
                                    {
                                        StaticMethod<&Self::take_over>("takeOver"),
                                        InstanceMethod<&Self::mapped_bytes>("mappedBytes", as_getter),
                                        InstanceMethod<&Self::create>("create"),
                                        InstanceMethod<&Self::restore>("restore"),
                                        InstanceMethod<&Self::last_request>("lastRequest", as_getter),
                                        InstanceMethod<&Self::note_request>("noteRequest"),
                                        InstanceMethod<&Self::drop_memory>("dropMemory"),
                                        InstanceMethod<&Self::close>("close"),
                                    }));
  }

  explicit StateStoreWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<StateStoreWrap>(info) {
    open_ = Instance::of(info.Env()).take<OpenStore>();
    if (open_ == nullptr) {
      StateStoreOptions options;
      if (!info[0].IsNull()) options.directory = text_argument(info, 0);
      options.boot_id = text_argument(info, 1);
      options.memory_bytes_max = integer_argument(info, 2, 0, safe_integer_max);
      options.reserve_whole = info[3].ToBoolean();
      if (options.boot_id.empty() || options.boot_id.size() > boot_id_bytes_max) {
        throw_range(info.Env(), "a boot id has 1 to " + std::to_string(boot_id_bytes_max) + " bytes");
      }
      open_ = std::make_shared<OpenStore>();
      const int error = StateStore::open(options, open_->store);
      if (error != 0) throw_errno(info.Env(), error, "state folder " + options.directory.value_or(""));
    }
    info.This().As<Napi::Object>().TypeTag(&type_tag);
  }
  ~StateStoreWrap() override { shut(); }

 private:
  StateStore& store(const Napi::CallbackInfo& info) const {
    if (open_->store == nullptr) throw_closed(info.Env(), "state store");
    return *open_->store;
  }

  void shut() noexcept {
    if (open_ == nullptr) return;
    open_->close_memories();
    open_->store.reset();
  }

  static Napi::Value take_over(const Napi::CallbackInfo& info) {
    if (!info[0].IsObject() || !info[0].As<Napi::Object>().CheckTypeTag(&type_tag)) {
      throw_type(info.Env(), "not a state store of this addon");
    }
    OpenStore& previous = *Unwrap(info[0].As<Napi::Object>())->open_;
    if (previous.store == nullptr) throw_closed(info.Env(), "state store");
    previous.close_memories();
    auto next = std::make_shared<OpenStore>();
    const int error = StateStore::take_over(std::move(previous.store), next->store);
    if (error != 0) throw_errno(info.Env(), error, "state folder");
    Instance& instance = Instance::of(info.Env());
    return instance.wrap(instance.state_store, next);
  }

  Napi::Value create(const Napi::CallbackInfo& info) {
    StateStore& target = store(info);
    const std::string uuid = text_argument(info, 0);
    const uint64_t high = integer_argument(info, 1, 0, UINT32_MAX);
    const uint64_t low = integer_argument(info, 2, 0, UINT32_MAX);
    const std::string constructor_text = text_argument(info, 5);
    StateStatic fixed;
    fixed.boot_id = target.options().boot_id;
    fixed.uuid = uuid;
    fixed.constructor_text = constructor_text;
    fixed.luid = high << 32 | low;
    fixed.region_count = integer_argument(info, 3, 0, safe_integer_max);
    fixed.region_size_sectors = integer_argument(info, 4, 0, safe_integer_max);
    fixed.disk = boolean_argument(info, 6);
    const StateStore::Created created = target.create(fixed);
    if (created.error != 0) {
      Napi::Array failure = Napi::Array::New(info.Env(), 2);
      failure.Set(uint32_t{0}, created.error);
      failure.Set(uint32_t{1}, created.text);
      return failure;
    }
    return record_object(info.Env(), created.slot);
  }

  Napi::Value restore(const Napi::CallbackInfo& info) {
    std::vector<std::string> problems;
    const auto slots = store(info).restore(problems);
    Napi::Array records = Napi::Array::New(info.Env(), slots.size());
    for (uint32_t index = 0; index < slots.size(); index++) {
      records.Set(index, record_object(info.Env(), slots[index]));
    }
    Napi::Array texts = Napi::Array::New(info.Env(), problems.size());
    for (uint32_t index = 0; index < problems.size(); index++) texts.Set(index, problems[index]);
    Napi::Array result = Napi::Array::New(info.Env(), 2);
    result.Set(uint32_t{0}, records);
    result.Set(uint32_t{1}, texts);
    return result;
  }

  Napi::Value record_object(Napi::Env env, const std::shared_ptr<StateSlot>& slot) {
    Instance& instance = Instance::of(env);
    auto handover = std::make_shared<RecordHandover>(RecordHandover{open_, open_->hand_out(slot)});
    return instance.wrap(instance.log_record, handover);
  }

  Napi::Value mapped_bytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(store(info).mapped_bytes()));
  }

  Napi::Value last_request(const Napi::CallbackInfo& info) {
    const auto seq = store(info).last_request();
    return Napi::Number::New(info.Env(), seq ? static_cast<double>(*seq) : -1.0);
  }

  void note_request(const Napi::CallbackInfo& info) {
    store(info).note_request(static_cast<uint32_t>(integer_argument(info, 0, 0, UINT32_MAX)));
  }

  void drop_memory(const Napi::CallbackInfo& info) {
    store(info).drop_all();
    open_->close_memories();
  }

  void close(const Napi::CallbackInfo& /*info*/) { shut(); }

  std::shared_ptr<OpenStore> open_;
};

}  // namespace

void define_state_store(Napi::Env env, Napi::Object exports) {
  const Napi::Function constructor = StateStoreWrap::define(env);
  Instance::of(env).state_store = Napi::Persistent(constructor);
  exports.Set("StateStore", constructor);
}

}  // namespace lockstep::binding
