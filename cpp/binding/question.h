// A question that a helper thread asks for JavaScript, because its answer may never come: nothing waits for
// it meanwhile, neither the loop nor the end of the environment.
//
// `Answer` is what the other thread fills in, under its mutex, before it raises the wake. It outlives the
// question: a thread that comes back late finds it, and nobody reads it any more.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "binding/callback.h"
#include "binding/instance.h"
#include "binding/loop_poll.h"
#include "os/event_fd.h"

namespace lockstep::binding {

/// The part that every answer has.
struct AnswerBase {
  std::mutex mutex;
  EventFd wake;
};

/// Kept by its watcher until the answer has come or the environment ends.
template <typename Answer>
struct Question {
  /// Hands the answer to JavaScript; called with a handle scope open and the mutex held.
  using Tell = void (*)(Napi::Env, const Napi::FunctionReference&, const Answer&);

  Napi::FunctionReference callback;
  Tell tell = nullptr;
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

/// Posts what `make_task` makes of the answer to the lane. False when nobody could be asked: no descriptor or
/// thread is left.
template <typename Answer, typename MakeTask>
bool ask(Napi::Env env, Napi::Function callback, const std::string& lane,
         typename Question<Answer>::Tell tell, const MakeTask& make_task) {
  const auto question = std::make_shared<Question<Answer>>();
  const auto answer = question->answer;
  if (!answer->wake.valid()) return false;
  question->callback = Napi::Persistent(callback);
  question->tell = tell;
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

}  // namespace lockstep::binding
