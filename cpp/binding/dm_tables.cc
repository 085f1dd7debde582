// The function of ts/native/dm-tables.ts: asks device-mapper on a helper thread and calls back when it has
// answered.
//
// In a lane of its own: these calls wait as long as somebody holds device-mapper's locks, and no device's
// opening waits with them.
#include "os/dm_tables.h"

#include <napi.h>

#include <cerrno>
#include <memory>
#include <mutex>

#include "binding/callback.h"
#include "binding/instance.h"
#include "binding/loop_poll.h"
#include "os/event_fd.h"

namespace lockstep::binding {
namespace {

/// What the other thread fills in.
struct Answer {
  std::mutex mutex;
  int error = 0;
  std::vector<std::string> uuids;
  EventFd wake;
};

/// One question. Kept by its watcher until the answer has come or the environment ends.
struct Question {
  Napi::FunctionReference callback;
  std::shared_ptr<Answer> answer = std::make_shared<Answer>();
  LoopPoll* poll = nullptr;

  void close() {
    callback.Reset();
    if (poll != nullptr) std::exchange(poll, nullptr)->close();
  }

  void on_wake(Napi::Env env) {
    answer->wake.take();
    const Napi::HandleScope scope(env);
    run_from_loop(env, [&] {
      const std::lock_guard guard(answer->mutex);
      Napi::Array uuids = Napi::Array::New(env, answer->uuids.size());
      for (uint32_t index = 0; index < answer->uuids.size(); index++) uuids.Set(index, answer->uuids[index]);
      call_from_loop(callback, {Napi::Number::New(env, answer->error), uuids});
    });
    close();
  }
};

Napi::Value read_mirror_logs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsFunction()) throw Napi::TypeError::New(env, "a callback must be given");
  const auto question = std::make_shared<Question>();
  const auto answer = question->answer;
  if (!answer->wake.valid()) return Napi::Boolean::New(env, false);
  question->callback = Napi::Persistent(info[0].As<Napi::Function>());
  question->poll = LoopPoll::start(
      env, answer->wake.get(), [question, env](LoopPoll::Events /*events*/) { question->on_wake(env); },
      [question] { question->close(); });
  if (question->poll == nullptr) return Napi::Boolean::New(env, false);
  // Nobody's end waits for this answer.
  question->poll->keep_alive(false);
  const bool posted = Instance::of(env).helpers.post("device-mapper", [answer]() -> HelperThreads::Again {
    std::vector<std::string> uuids;
    const int error = read_mirror_log_uuids(uuids);
    {
      const std::lock_guard guard(answer->mutex);
      answer->error = error;
      answer->uuids = std::move(uuids);
    }
    answer->wake.raise();
    return std::nullopt;
  });
  if (!posted) question->close();
  return Napi::Boolean::New(env, posted);
}

}  // namespace

void define_dm_tables(Napi::Env env, Napi::Object exports) {
  exports.Set("readMirrorLogs", Napi::Function::New<read_mirror_logs>(env, "readMirrorLogs"));
}

}  // namespace lockstep::binding
