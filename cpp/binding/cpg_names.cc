// The function of ts/native/cpg-group.ts that asks corosync for the names of all groups, on a helper thread.
#include <napi.h>

#include <memory>
#include <vector>

#include "binding/arguments.h"
#include "binding/question.h"
#include "os/cpg_connection.h"

namespace lockstep::binding {
namespace {

struct NamesAnswer : AnswerBase {
  std::string problem;
  std::vector<std::string> names;
  uint32_t node = 0;
};

void tell_names(Napi::Env env, const Napi::FunctionReference& callback, const NamesAnswer& answer) {
  Napi::Array names = Napi::Array::New(env, answer.names.size());
  for (uint32_t index = 0; index < answer.names.size(); index++) names.Set(index, answer.names[index]);
  call_from_loop(callback,
                 {Napi::String::New(env, answer.problem), names, Napi::Number::New(env, answer.node)});
}

Napi::Value read_group_names(const Napi::CallbackInfo& info) {
  const Napi::Function callback = function_argument(info, 0);
  const auto make_task = [](const std::shared_ptr<NamesAnswer>& answer) -> HelperThreads::Task {
    return [answer]() -> HelperThreads::Again {
      std::vector<std::string> names;
      uint32_t node = 0;
      std::string problem = CpgConnection::read_group_names(names, node);
      {
        const std::lock_guard guard(answer->mutex);
        answer->problem = std::move(problem);
        answer->names = std::move(names);
        answer->node = node;
      }
      answer->wake.raise();
      return std::nullopt;
    };
  };
  const bool asked = ask<NamesAnswer>(info.Env(), callback, "corosync-groups", tell_names, make_task);
  return Napi::Boolean::New(info.Env(), asked);
}

}  // namespace

void define_cpg_names(Napi::Env env, Napi::Object exports) {
  exports.Set("readCpgGroupNames", Napi::Function::New<read_group_names>(env, "readCpgGroupNames"));
}

}  // namespace lockstep::binding
