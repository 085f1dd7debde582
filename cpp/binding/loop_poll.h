// Watches a descriptor from the event loop of the environment it is made in.
//
// Deals with three traps. libuv stops a watcher without a word when the descriptor has an error pending, as
// an overrun of a netlink socket is (it reports UV_EBADF): the watcher is started again. An environment that
// ends with an open watcher aborts the process: a cleanup hook closes it, or lets its owner finish first. And
// a descriptor must not be closed while it is watched: `close` lets go of it before it returns.
#pragma once

#include <node_api.h>
#include <uv.h>

#include <functional>
#include <memory>

namespace lockstep::binding {

class LoopPoll {
 public:
  struct Events {
    bool readable = false;
    bool writable = false;
    /// An error is pending; read it before returning, or the watcher wakes for it again.
    bool error = false;
  };
  /// Called with no handle scope open.
  using Callback = std::function<void(Events)>;

  /// Starts watching for readable. `on_teardown` is called when the environment ends, and sees to it that
  /// `close` is called, soon or when what is under way has ended; no JavaScript may be called from then on.
  /// Null when the loop refuses. The object deletes itself some time after `close`.
  static LoopPoll* start(napi_env env, int fd, Callback callback, std::function<void()> on_teardown);

  LoopPoll(const LoopPoll&) = delete;
  LoopPoll& operator=(const LoopPoll&) = delete;

  void want_writable(bool wanted);
  /// Whether the loop stays alive for this watcher alone.
  void keep_alive(bool wanted);
  /// Lets go of the descriptor at once; no callback comes any more.
  void close();

 private:
  LoopPoll(Callback callback, std::function<void()> on_teardown)
      : callback_(std::move(callback)), on_teardown_(std::move(on_teardown)) {}
  ~LoopPoll() = default;

  static void on_event(uv_poll_t* handle, int status, int events);
  static void on_closed(uv_handle_t* handle);
  static void on_environment_end(napi_async_cleanup_hook_handle handle, void* data);
  bool watch();

  uv_poll_t handle_{};
  napi_async_cleanup_hook_handle hook_ = nullptr;
  Callback callback_;
  std::function<void()> on_teardown_;
  int events_ = UV_READABLE;
  bool closing_ = false;
};

}  // namespace lockstep::binding
