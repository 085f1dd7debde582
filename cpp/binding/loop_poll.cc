#include "binding/loop_poll.h"

namespace lockstep::binding {

LoopPoll* LoopPoll::start(napi_env env, int fd, Callback callback, std::function<void()> on_teardown) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
  auto* poll = new LoopPoll(std::move(callback), std::move(on_teardown));
  if (uv_poll_init(loop, &poll->handle_, fd) != 0) {
    delete poll;
    return nullptr;
  }
  poll->handle_.data = poll;
  if (!poll->watch() || napi_add_async_cleanup_hook(env, on_environment_end, poll, &poll->hook_) != napi_ok) {
    poll->close();
    return nullptr;
  }
  return poll;
}

bool LoopPoll::watch() { return uv_poll_start(&handle_, events_, on_event) == 0; }

void LoopPoll::on_event(uv_poll_t* handle, int status, int events) {
  auto* poll = static_cast<LoopPoll*>(handle->data);
  Events seen;
  seen.error = status < 0;
  seen.readable = status < 0 || (events & (UV_READABLE | UV_DISCONNECT)) != 0;
  seen.writable = status == 0 && (events & UV_WRITABLE) != 0;
  poll->callback_(seen);
  // The error has stopped the watcher.
  if (status < 0 && !poll->closing_) poll->watch();
}

void LoopPoll::want_writable(bool wanted) {
  const int events = UV_READABLE | (wanted ? UV_WRITABLE : 0);
  if (closing_ || events == events_) return;
  events_ = events;
  watch();
}

void LoopPoll::keep_alive(bool wanted) {
  if (closing_) return;
  auto* handle = reinterpret_cast<uv_handle_t*>(&handle_);
  wanted ? uv_ref(handle) : uv_unref(handle);
}

void LoopPoll::close() {
  if (closing_) return;
  closing_ = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_), on_closed);
}

void LoopPoll::on_closed(uv_handle_t* handle) {
  auto* poll = static_cast<LoopPoll*>(handle->data);
  napi_async_cleanup_hook_handle hook = poll->hook_;
  // First what the callbacks hold, JavaScript references among it; an ending environment goes on after the
  // second.
  delete poll;
  if (hook != nullptr) napi_remove_async_cleanup_hook(hook);
}

void LoopPoll::on_environment_end(napi_async_cleanup_hook_handle /*handle*/, void* data) {
  auto* poll = static_cast<LoopPoll*>(data);
  if (poll->closing_) return;
  // An unreferenced handle would not be waited for.
  poll->keep_alive(true);
  poll->on_teardown_();
}

}  // namespace lockstep::binding
