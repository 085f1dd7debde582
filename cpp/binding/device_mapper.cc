// The functions of ts/native/dm-tables.ts and dm-restart.ts: each asks device-mapper on a helper thread and
// calls back when it has answered.
//
// In a lane of their own: these calls wait as long as somebody holds device-mapper's locks, and no device's
// opening waits with them. A restart, which waits for a device to come to rest, has a lane for each log.
#include <napi.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <mutex>

#include "binding/callback.h"
#include "binding/instance.h"
#include "binding/loop_poll.h"
#include "os/dm_restart.h"
#include "os/dm_tables.h"
#include "os/event_fd.h"

namespace lockstep::binding {
namespace {

/// What the other thread fills in.
struct Answer {
  std::mutex mutex;
  int error = 0;
  std::vector<std::string> uuids;
  RestartOutcome outcome = RestartOutcome::absent;
  EventFd wake;

  void give(int error_now, std::vector<std::string> uuids_now, RestartOutcome outcome_now) {
    {
      const std::lock_guard guard(mutex);
      error = error_now;
      uuids = std::move(uuids_now);
      outcome = outcome_now;
    }
    wake.raise();
  }
};

using Tell = std::function<void(Napi::Env, const Napi::FunctionReference&, const Answer&)>;

/// One question. Kept by its watcher until the answer has come or the environment ends.
struct Question {
  Napi::FunctionReference callback;
  Tell tell;
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
      tell(env, callback, *answer);
    });
    close();
  }
};

/// False when nobody could be asked.
template <typename MakeTask>
bool ask(Napi::Env env, const Napi::Value& callback, const std::string& lane, Tell tell, MakeTask make_task) {
  if (!callback.IsFunction()) throw Napi::TypeError::New(env, "a callback must be given");
  const auto question = std::make_shared<Question>();
  const auto answer = question->answer;
  if (!answer->wake.valid()) return false;
  question->callback = Napi::Persistent(callback.As<Napi::Function>());
  question->tell = std::move(tell);
  question->poll = LoopPoll::start(
      env, answer->wake.get(), [question, env](LoopPoll::Events /*events*/) { question->on_wake(env); },
      [question] { question->close(); });
  if (question->poll == nullptr) return false;
  // Nobody's end waits for this answer.
  question->poll->keep_alive(false);
  const bool posted = Instance::of(env).helpers.post(lane, make_task(answer));
  if (!posted) question->close();
  return posted;
}

void tell_uuids(Napi::Env env, const Napi::FunctionReference& callback, const Answer& answer) {
  Napi::Array uuids = Napi::Array::New(env, answer.uuids.size());
  for (uint32_t index = 0; index < answer.uuids.size(); index++) uuids.Set(index, answer.uuids[index]);
  call_from_loop(callback, {Napi::Number::New(env, answer.error), uuids});
}

void tell_outcome(Napi::Env env, const Napi::FunctionReference& callback, const Answer& answer) {
  call_from_loop(callback, {Napi::Number::New(env, answer.error),
                            Napi::Number::New(env, static_cast<uint32_t>(answer.outcome))});
}

Napi::Value read_mirror_logs(const Napi::CallbackInfo& info) {
  const auto make_task = [](const std::shared_ptr<Answer>& answer) -> HelperThreads::Task {
    return [answer]() -> HelperThreads::Again {
      std::vector<std::string> uuids;
      const int error = read_mirror_log_uuids(uuids);
      answer->give(error, std::move(uuids), RestartOutcome::absent);
      return std::nullopt;
    };
  };
  return Napi::Boolean::New(info.Env(), ask(info.Env(), info[0], "device-mapper", tell_uuids, make_task));
}

Napi::Value restart_recovery(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) throw Napi::TypeError::New(env, "a uuid must be given");
  const std::string uuid = info[0].As<Napi::String>();
  const bool resume_only = info[1].ToBoolean();
  const auto make_task = [&](const std::shared_ptr<Answer>& answer) -> HelperThreads::Task {
    return [answer, restart = RecoveryRestart(uuid, resume_only)]() mutable -> HelperThreads::Again {
      DmControl control;
      const int error = control.open();
      if (error == 0) {
        if (const auto again = restart.step(control)) return again;
      }
      answer->give(error != 0 ? error : restart.error(), {}, restart.outcome());
      return std::nullopt;
    };
  };
  return Napi::Boolean::New(env, ask(env, info[2], "restart " + uuid, tell_outcome, make_task));
}

}  // namespace

void define_device_mapper(Napi::Env env, Napi::Object exports) {
  exports.Set("readMirrorLogs", Napi::Function::New<read_mirror_logs>(env, "readMirrorLogs"));
  exports.Set("restartRecovery", Napi::Function::New<restart_recovery>(env, "restartRecovery"));
}

}  // namespace lockstep::binding
