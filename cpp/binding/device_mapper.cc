// The functions of ts/native/dm-tables.ts and dm-restart.ts: each asks device-mapper on a helper thread and
// calls back when it has answered.
//
// In a lane of their own: these calls wait as long as somebody holds device-mapper's locks, and no device's
// opening waits with them. A restart, which waits for a device to come to rest, has a lane for each log and
// is done in a process apart: killed in the middle of a suspend, this one must end, or the next daemon could
// not begin and the kernel would wait for an answer that nobody gives.
#include <napi.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <vector>

#include "binding/arguments.h"
#include "binding/question.h"
#include "os/apart.h"
#include "os/dm_restart.h"
#include "os/dm_tables.h"

namespace lockstep::binding {
namespace {

struct TablesAnswer : AnswerBase {
  int error = 0;
  std::vector<std::string> uuids;
};

void tell_uuids(Napi::Env env, const Napi::FunctionReference& callback, const TablesAnswer& answer) {
  Napi::Array uuids = Napi::Array::New(env, answer.uuids.size());
  for (uint32_t index = 0; index < answer.uuids.size(); index++) uuids.Set(index, answer.uuids[index]);
  call_from_loop(callback, {Napi::Number::New(env, answer.error), uuids});
}

Napi::Value read_mirror_logs(const Napi::CallbackInfo& info) {
  const Napi::Function callback = function_argument(info, 0);
  const auto make_task = [](const std::shared_ptr<TablesAnswer>& answer) -> HelperThreads::Task {
    return [answer]() -> HelperThreads::Again {
      std::vector<std::string> uuids;
      const int error = read_mirror_log_uuids(uuids);
      {
        const std::lock_guard guard(answer->mutex);
        answer->error = error;
        answer->uuids = std::move(uuids);
      }
      answer->wake.raise();
      return std::nullopt;
    };
  };
  const bool asked = ask<TablesAnswer>(info.Env(), callback, "device-mapper", tell_uuids, make_task);
  return Napi::Boolean::New(info.Env(), asked);
}

constexpr std::chrono::milliseconds after_a_kill{100};

struct RestartAnswer : AnswerBase {
  int error = 0;
  RestartOutcome outcome = RestartOutcome::absent;
};

void tell_outcome(Napi::Env env, const Napi::FunctionReference& callback, const RestartAnswer& answer) {
  call_from_loop(callback, {Napi::Number::New(env, answer.error),
                            Napi::Number::New(env, static_cast<uint32_t>(answer.outcome))});
}

Napi::Value restart_recovery(const Napi::CallbackInfo& info) {
  const std::string uuid = text_argument(info, 0);
  const bool begun = boolean_argument(info, 1);
  const Napi::Function callback = function_argument(info, 2);
  const auto make_task = [&](const std::shared_ptr<RestartAnswer>& answer) -> HelperThreads::Task {
    return [answer, restart = RecoveryRestart(uuid, begun)]() mutable -> HelperThreads::Again {
      HelperThreads::Again again;
      int opened = 0;
      int error = run_apart([&] {
        DmControl control;
        opened = control.open();
        if (opened == 0) again = restart.step(control);
      });
      if (error == EINTR) {
        restart.broken_off();
        return after_a_kill;
      }
      if (error == 0) error = opened;
      if (again) return again;
      {
        const std::lock_guard guard(answer->mutex);
        answer->error = error != 0 ? error : restart.error();
        answer->outcome = restart.outcome();
      }
      answer->wake.raise();
      return std::nullopt;
    };
  };
  const bool asked = ask<RestartAnswer>(info.Env(), callback, "restart " + uuid, tell_outcome, make_task);
  return Napi::Boolean::New(info.Env(), asked);
}

}  // namespace

void define_device_mapper(Napi::Env env, Napi::Object exports) {
  exports.Set("readMirrorLogs", Napi::Function::New<read_mirror_logs>(env, "readMirrorLogs"));
  exports.Set("restartRecovery", Napi::Function::New<restart_recovery>(env, "restartRecovery"));
}

}  // namespace lockstep::binding
