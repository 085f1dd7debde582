#include "binding/log_record.h"

#include "binding/arguments.h"
#include "binding/getters.h"
#include "binding/instance.h"

namespace lockstep::binding {
namespace {

Napi::Value text(Napi::Env env, std::string_view value) {
  return Napi::String::New(env, value.data(), value.size());
}

Napi::Value number(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

uint64_t get_word(const StateRecord& record, StateRecord::Word word) {
  switch (word) {
    case StateRecord::life_cycle_word:
      return record.life_cycle();
    case StateRecord::recovering_word:
      return record.recovering_plus_one();
    case StateRecord::search_word:
      return record.search_position();
    case StateRecord::latched_word:
      return record.in_sync_latched() ? 1 : 0;
    case StateRecord::marks_unknown_word:
      return record.marks_unknown() ? 1 : 0;
    case StateRecord::ever_resumed_word:
      return record.ever_resumed() ? 1 : 0;
    case StateRecord::log_failed_word:
      return record.log_failed() ? 1 : 0;
    case StateRecord::draining_word:
      return record.draining() ? 1 : 0;
    case StateRecord::resume_count_word:
      return record.resume_count();
    case StateRecord::recovering_node_word:
      return record.recovering_node();
    case StateRecord::position_word:
      return record.position();
    case StateRecord::doubted_word:
      return record.doubted() ? 1 : 0;
    case StateRecord::recovery_doubted_word:
      return record.recovery_doubted() ? 1 : 0;
    case StateRecord::recovery_untold_word:
      return record.recovery_untold() ? 1 : 0;
    case StateRecord::reconnecting_word:
      return record.reconnecting() ? 1 : 0;
    default:
      return record.device_number();
  }
}

void set_word(StateRecord record, StateRecord::Word word, uint64_t value) {
  switch (word) {
    case StateRecord::life_cycle_word:
      return record.set_life_cycle(value);
    case StateRecord::recovering_word:
      return record.set_recovering_plus_one(value);
    case StateRecord::search_word:
      return record.set_search_position(value);
    case StateRecord::latched_word:
      return record.set_in_sync_latched(value != 0);
    case StateRecord::marks_unknown_word:
      return record.set_marks_unknown(value != 0);
    case StateRecord::ever_resumed_word:
      return record.set_ever_resumed(value != 0);
    case StateRecord::log_failed_word:
      return record.set_log_failed(value != 0);
    case StateRecord::draining_word:
      return record.set_draining(value != 0);
    case StateRecord::resume_count_word:
      return record.set_resume_count(value);
    case StateRecord::recovering_node_word:
      return record.set_recovering_node(value);
    case StateRecord::position_word:
      return record.set_position(value);
    case StateRecord::doubted_word:
      return record.set_doubted(value != 0);
    case StateRecord::recovery_doubted_word:
      return record.set_recovery_doubted(value != 0);
    case StateRecord::recovery_untold_word:
      return record.set_recovery_untold(value != 0);
    case StateRecord::reconnecting_word:
      return record.set_reconnecting(value != 0);
    default:
      return record.set_device_number(value);
  }
}

// The numbers of RecordWord in ts/native/log-state.ts.
static_assert(StateRecord::life_cycle_word == 0 && StateRecord::recovering_word == 1 &&
              StateRecord::search_word == 2 && StateRecord::latched_word == 3 &&
              StateRecord::marks_unknown_word == 4 && StateRecord::ever_resumed_word == 5 &&
              StateRecord::log_failed_word == 6 && StateRecord::resume_count_word == 7 &&
              StateRecord::device_number_word == 8 && StateRecord::draining_word == 12 &&
              StateRecord::recovering_node_word == 13 && StateRecord::position_word == 14 &&
              StateRecord::doubted_word == 15 && StateRecord::recovery_doubted_word == 16 &&
              StateRecord::recovery_untold_word == 17 && StateRecord::reconnecting_word == 18);

}  // namespace

std::shared_ptr<LogMemory> OpenStore::hand_out(std::shared_ptr<StateSlot> slot) {
  std::erase_if(memories, [](const auto& memory) { return memory.expired(); });
  auto memory = std::make_shared<LogMemory>(std::move(slot));
  memories.push_back(memory);
  return memory;
}

void OpenStore::close_memories() noexcept {
  for (const auto& weak : memories) {
    if (const auto memory = weak.lock()) memory->close();
  }
  memories.clear();
}

Napi::Function LogRecordWrap::define(Napi::Env env) {
  using Self = LogRecordWrap;
  return with_getters(DefineClass(env, "LogRecord",
                                  {
                                      InstanceMethod<&Self::uuid>("uuid", as_getter),
                                      InstanceMethod<&Self::luid_high>("luidHigh", as_getter),
                                      InstanceMethod<&Self::luid_low>("luidLow", as_getter),
                                      InstanceMethod<&Self::region_count>("regionCount", as_getter),
                                      InstanceMethod<&Self::region_size>("regionSizeSectors", as_getter),
                                      InstanceMethod<&Self::constructor_text>("constructorText", as_getter),
                                      InstanceMethod<&Self::disk>("disk", as_getter),
                                      InstanceMethod<&Self::map>("map", as_getter),
                                      InstanceMethod<&Self::image>("image", as_getter),
                                      InstanceMethod<&Self::load>("load"),
                                      InstanceMethod<&Self::store>("store"),
                                      InstanceMethod<&Self::load_members>("loadMembers"),
                                      InstanceMethod<&Self::store_members>("storeMembers"),
                                      InstanceMethod<&Self::remove>("remove"),
                                  }));
}

LogRecordWrap::LogRecordWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<LogRecordWrap>(info) {
  const auto handover = Instance::of(info.Env()).take<RecordHandover>();
  if (handover == nullptr) throw_type(info.Env(), "records come from a state store");
  store_ = handover->store;
  memory_ = handover->memory;
}

StateRecord LogRecordWrap::record(const Napi::CallbackInfo& info) const {
  if (memory_->closed()) throw_closed(info.Env(), "state record");
  return memory_->slot()->record();
}

StateRecord::Word LogRecordWrap::word(const Napi::CallbackInfo& info) const {
  const uint64_t word = integer_argument(info, 0, 0, StateRecord::reconnecting_word);
  // The words between are the bit maps' own.
  if (word > StateRecord::device_number_word && word < StateRecord::draining_word) {
    throw_range(info.Env(), "no such state word: " + std::to_string(word));
  }
  return static_cast<StateRecord::Word>(word);
}

Napi::Value LogRecordWrap::uuid(const Napi::CallbackInfo& info) {
  return text(info.Env(), record(info).fixed().uuid);
}
Napi::Value LogRecordWrap::luid_high(const Napi::CallbackInfo& info) {
  return number(info.Env(), record(info).fixed().luid >> 32);
}
Napi::Value LogRecordWrap::luid_low(const Napi::CallbackInfo& info) {
  return number(info.Env(), record(info).fixed().luid & 0xFFFFFFFF);
}
Napi::Value LogRecordWrap::region_count(const Napi::CallbackInfo& info) {
  return number(info.Env(), record(info).fixed().region_count);
}
Napi::Value LogRecordWrap::region_size(const Napi::CallbackInfo& info) {
  return number(info.Env(), record(info).fixed().region_size_sectors);
}
Napi::Value LogRecordWrap::constructor_text(const Napi::CallbackInfo& info) {
  return text(info.Env(), record(info).fixed().constructor_text);
}
Napi::Value LogRecordWrap::disk(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), record(info).fixed().disk);
}

Napi::Value LogRecordWrap::map(const Napi::CallbackInfo& info) {
  static_cast<void>(record(info));
  Instance& instance = Instance::of(info.Env());
  return instance.wrap(instance.region_map, memory_);
}

Napi::Value LogRecordWrap::image(const Napi::CallbackInfo& info) {
  if (!record(info).fixed().disk) return info.Env().Null();
  Instance& instance = Instance::of(info.Env());
  return instance.wrap(instance.log_image, memory_);
}

Napi::Value LogRecordWrap::load(const Napi::CallbackInfo& info) {
  return number(info.Env(), get_word(record(info), word(info)));
}

void LogRecordWrap::store(const Napi::CallbackInfo& info) {
  const StateRecord target = record(info);
  const StateRecord::Word which = word(info);
  const uint64_t value = integer_argument(info, 1, 0, safe_integer_max);
  if (!StateRecord::word_valid(which, value, memory_->region_count())) {
    throw_range(info.Env(), std::to_string(value) + " is outside the range of state word " +
                                std::to_string(static_cast<int>(which)));
  }
  set_word(target, which, value);
}

Napi::Value LogRecordWrap::load_members(const Napi::CallbackInfo& info) {
  const auto table = record(info).member_table();
  return Napi::Buffer<uint8_t>::Copy(info.Env(), table.data(), table.size());
}

void LogRecordWrap::store_members(const Napi::CallbackInfo& info) {
  StateRecord target = record(info);
  const std::span<const uint8_t> table = bytes_argument(info, 0);
  if (table.size() > member_table_bytes_max) {
    throw_range(info.Env(), "a member table of " + std::to_string(table.size()) + " bytes does not fit");
  }
  target.store_member_table(table);
}

void LogRecordWrap::remove(const Napi::CallbackInfo& /*info*/) {
  if (memory_->closed()) return;
  if (store_->store != nullptr) store_->store->remove(memory_->slot());
  memory_->close();
}

void define_log_record(Napi::Env env, Napi::Object /*exports*/) {
  Instance::of(env).log_record = Napi::Persistent(LogRecordWrap::define(env));
}

}  // namespace lockstep::binding
