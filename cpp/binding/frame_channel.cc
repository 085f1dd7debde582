// The JavaScript class FrameChannel: a frame port (cpp/os/frame_port.h), its slots as buffers, and the
// watchers that wake the loop for it.
#include <napi.h>

#include <memory>

#include "binding/arguments.h"
#include "binding/callback.h"
#include "binding/getters.h"
#include "binding/instance.h"
#include "binding/loop_poll.h"
#include "binding/shared_view.h"
#include "os/frame_port.h"

namespace lockstep::binding {
namespace {

class FrameChannelWrap;

/// What the watchers' callbacks work on; it outlives the JavaScript object when it must.
class Channel : public std::enable_shared_from_this<Channel> {
 public:
  Channel(Napi::Env env, std::unique_ptr<FramePort> port) : env_(env), port_(std::move(port)) {}

  bool closed() const noexcept { return port_ == nullptr; }
  FramePort& port() { return *port_; }
  bool polling() const noexcept { return polling_; }
  uint64_t poll_restarts() const noexcept { return poll_restarts_; }

  uint32_t drain();
  uint32_t send(uint32_t count);
  /// False when the loop refuses.
  bool start(FrameChannelWrap* owner, Napi::FunctionReference on_readable);
  void set_on_closed(Napi::FunctionReference on_closed) { on_closed_ = std::move(on_closed); }
  void close() noexcept;

 private:
  bool watch_peer();
  void on_peer_event(LoopPoll::Events events);
  void on_listener_event(LoopPoll::Events events);
  void tell_readable();
  void end_peer();
  void replace_peer(Fd client);
  void release_owner() noexcept;

  Napi::Env env_;
  std::unique_ptr<FramePort> port_;
  LoopPoll* peer_poll_ = nullptr;
  LoopPoll* listener_poll_ = nullptr;
  Napi::FunctionReference on_readable_;
  Napi::FunctionReference on_closed_;
  /// Kept from the garbage collector while a watcher may call.
  FrameChannelWrap* owner_ = nullptr;
  bool polling_ = false;
  uint64_t poll_restarts_ = 0;
  /// Frames drained since the callback under way began.
  uint64_t drained_ = 0;
};

class FrameChannelWrap : public Napi::ObjectWrap<FrameChannelWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit FrameChannelWrap(const Napi::CallbackInfo& info);
  ~FrameChannelWrap() override { channel_->close(); }

 private:
  static Napi::Value open(const Napi::CallbackInfo& info, int error, const std::string& what,
                          std::unique_ptr<FramePort> port);
  static Napi::Value connector(const Napi::CallbackInfo& info);
  static Napi::Value listen(const Napi::CallbackInfo& info);
  static Napi::Value connect(const Napi::CallbackInfo& info);

  Channel& channel(const Napi::CallbackInfo& info) const {
    if (channel_->closed()) throw_closed(info.Env(), "frame channel");
    return *channel_;
  }
  Napi::Value drain(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), channel(info).drain());
  }
  Napi::Value send(const Napi::CallbackInfo& info);
  void on_readable(const Napi::CallbackInfo& info);
  void on_closed(const Napi::CallbackInfo& info) {
    channel(info).set_on_closed(Napi::Persistent(function_argument(info, 0)));
  }
  Napi::Value counters(const Napi::CallbackInfo& info);
  Napi::Value connected(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(
        info.Env(), !channel_->closed() && channel_->port().peer_fd() >= 0 && !channel_->port().peer_ended());
  }
  Napi::Value closed(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), channel_->closed());
  }
  void close(const Napi::CallbackInfo& /*info*/) { channel_->close(); }

  std::shared_ptr<Channel> channel_;
};

uint32_t Channel::drain() {
  // Without a watcher nobody else lets clients in.
  if (!polling_ && port_->listen_fd() >= 0) {
    if (Fd client = port_->accept_newest(); client.valid()) replace_peer(std::move(client));
  }
  const uint32_t count = port_->drain();
  drained_ += count;
  return count;
}

uint32_t Channel::send(uint32_t count) {
  if (port_->queued() > 0) port_->send_queued();
  const uint32_t dropped = port_->send(count);
  if (peer_poll_ != nullptr) peer_poll_->want_writable(port_->queued() > 0);
  return dropped;
}

bool Channel::start(FrameChannelWrap* owner, Napi::FunctionReference on_readable) {
  on_readable_ = std::move(on_readable);
  polling_ = true;
  if (port_->listen_fd() >= 0) {
    const auto self = shared_from_this();
    listener_poll_ = LoopPoll::start(
        env_, port_->listen_fd(), [self](LoopPoll::Events events) { self->on_listener_event(events); },
        [self] { self->close(); });
    if (listener_poll_ == nullptr) return false;
  }
  if (port_->peer_fd() >= 0 && !watch_peer()) return false;
  owner_ = owner;
  reference(*owner);
  return true;
}

bool Channel::watch_peer() {
  const auto self = shared_from_this();
  peer_poll_ = LoopPoll::start(
      env_, port_->peer_fd(), [self](LoopPoll::Events events) { self->on_peer_event(events); },
      [self] { self->close(); });
  if (peer_poll_ != nullptr && port_->queued() > 0) peer_poll_->want_writable(true);
  return peer_poll_ != nullptr;
}

void Channel::on_peer_event(LoopPoll::Events events) {
  const auto self = shared_from_this();
  const Napi::HandleScope scope(env_);
  if (events.error) {
    poll_restarts_++;
    port_->clear_error();
  }
  if (events.writable) {
    port_->send_queued();
    peer_poll_->want_writable(port_->queued() > 0);
  }
  if (!events.readable) return;
  tell_readable();
  if (closed()) return;
  // A callback that found nothing to drain: the wake was the end of the stream, perhaps.
  if (drained_ == 0) port_->check_ended();
  if (port_->peer_ended()) end_peer();
}

void Channel::on_listener_event(LoopPoll::Events /*events*/) {
  const auto self = shared_from_this();
  const Napi::HandleScope scope(env_);
  Fd client = port_->accept_newest();
  if (!client.valid()) return;
  replace_peer(std::move(client));
  if (!closed()) tell_readable();
}

void Channel::replace_peer(Fd client) {
  if (port_->peer_fd() >= 0) {
    end_peer();
    if (closed()) return;
  }
  port_->adopt(std::move(client));
  // A loop that takes no watcher more leaves this client unheard; the next one tries again.
  if (polling_ && !watch_peer()) port_->drop_peer();
}

void Channel::tell_readable() {
  drained_ = 0;
  call_from_loop(on_readable_, {});
}

void Channel::end_peer() {
  if (peer_poll_ != nullptr) std::exchange(peer_poll_, nullptr)->close();
  port_->drop_peer();
  if (port_->listen_fd() < 0) release_owner();
  if (polling_) call_from_loop(on_closed_, {});
}

void Channel::close() noexcept {
  if (closed()) return;
  // Watchers first: a descriptor must not be closed under them.
  if (peer_poll_ != nullptr) std::exchange(peer_poll_, nullptr)->close();
  if (listener_poll_ != nullptr) std::exchange(listener_poll_, nullptr)->close();
  port_.reset();
  release_owner();
}

void Channel::release_owner() noexcept {
  if (owner_ != nullptr) unreference(*std::exchange(owner_, nullptr));
}

Napi::Function FrameChannelWrap::define(Napi::Env env) {
  using Self = FrameChannelWrap;
  return with_getters(DefineClass(env, "FrameChannel",
                                  {
                                      StaticMethod<&Self::connector>("connector"),
                                      StaticMethod<&Self::listen>("listen"),
                                      StaticMethod<&Self::connect>("connect"),
                                      InstanceMethod<&Self::connected>("connected", as_getter),
                                      InstanceMethod<&Self::closed>("closed", as_getter),
                                      InstanceMethod<&Self::drain>("drain"),
                                      InstanceMethod<&Self::send>("send"),
                                      InstanceMethod<&Self::on_readable>("onReadable"),
                                      InstanceMethod<&Self::on_closed>("onClosed"),
                                      InstanceMethod<&Self::counters>("counters"),
                                      InstanceMethod<&Self::close>("close"),
                                  }));
}

void expose_slots(Napi::Object self, const char* bytes_name, const char* lengths_name,
                  const std::shared_ptr<FrameSlots>& slots) {
  const Napi::Env env = self.Env();
  expose(self, bytes_name, shared_bytes(env, slots, slots->memory.get(), FrameSlots::bytes));
  expose(self, lengths_name,
         shared_array<Napi::Int32Array>(env, slots, slots->lengths.get(), frame_slot_count));
}

FrameChannelWrap::FrameChannelWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<FrameChannelWrap>(info), channel_(Instance::of(info.Env()).take<Channel>()) {
  if (channel_ == nullptr) {
    channel_ = std::make_shared<Channel>(info.Env(), nullptr);
    throw_type(info.Env(), "channels come from connector, listen and connect");
  }
  const auto self = info.This().As<Napi::Object>();
  expose_slots(self, "slots", "lengths", channel_->port().share_in());
  expose_slots(self, "outSlots", "outLengths", channel_->port().share_out());
}

Napi::Value FrameChannelWrap::open(const Napi::CallbackInfo& info, int error, const std::string& what,
                                   std::unique_ptr<FramePort> port) {
  if (error != 0) throw_errno(info.Env(), error, what);
  Instance& instance = Instance::of(info.Env());
  return instance.wrap(instance.frame_channel, std::make_shared<Channel>(info.Env(), std::move(port)));
}

Napi::Value FrameChannelWrap::connector(const Napi::CallbackInfo& info) {
  std::unique_ptr<FramePort> port;
  const auto bytes = static_cast<int>(integer_argument(info, 0, 0, INT32_MAX));
  const int error = FramePort::open_connector(bytes, port);
  return open(info, error, "cannot open the kernel's connector", std::move(port));
}

Napi::Value FrameChannelWrap::listen(const Napi::CallbackInfo& info) {
  std::unique_ptr<FramePort> port;
  const std::string path = text_argument(info, 0);
  const int error = FramePort::listen(path, port);
  return open(info, error, "cannot listen on " + path, std::move(port));
}

Napi::Value FrameChannelWrap::connect(const Napi::CallbackInfo& info) {
  std::unique_ptr<FramePort> port;
  const std::string path = text_argument(info, 0);
  const int error = FramePort::connect(path, port);
  return open(info, error, "cannot connect to " + path, std::move(port));
}

Napi::Value FrameChannelWrap::send(const Napi::CallbackInfo& info) {
  Channel& target = channel(info);
  const auto count = static_cast<uint32_t>(integer_argument(info, 0, 0, frame_slot_count));
  const int32_t* lengths = target.port().out().lengths.get();
  for (uint32_t index = 0; index < count; index++) {
    if (lengths[index] < 1 || static_cast<size_t>(lengths[index]) > frame_bytes_max) {
      throw_range(info.Env(),
                  "out slot " + std::to_string(index) + " has length " + std::to_string(lengths[index]));
    }
  }
  return Napi::Number::New(info.Env(), target.send(count));
}

void FrameChannelWrap::on_readable(const Napi::CallbackInfo& info) {
  Channel& target = channel(info);
  const Napi::Function callback = function_argument(info, 0);
  if (target.polling()) throw Napi::Error::New(info.Env(), "the channel has a readable callback");
  if (!target.start(this, Napi::Persistent(callback))) {
    target.close();
    throw_errno(info.Env(), EMFILE, "the event loop cannot watch the channel");
  }
}

Napi::Value FrameChannelWrap::counters(const Napi::CallbackInfo& info) {
  Channel& target = channel(info);
  const FramePortCounters& counted = target.port().counters();
  Napi::Object object = Napi::Object::New(info.Env());
  const auto set = [&](const char* name, uint64_t value) { object.Set(name, static_cast<double>(value)); };
  set("received", counted.received);
  set("sent", counted.sent);
  set("foreign", counted.foreign);
  set("truncated", counted.truncated);
  set("unanswerable", counted.unanswerable);
  set("malformed", counted.malformed);
  set("overruns", counted.overruns);
  set("dropped", counted.dropped);
  set("queued", target.port().queued());
  set("accepted", counted.accepted);
  set("refused", counted.refused);
  set("pollRestarts", target.poll_restarts());
  return object;
}

}  // namespace

void define_frame_channel(Napi::Env env, Napi::Object exports) {
  const Napi::Function constructor = FrameChannelWrap::define(env);
  Instance::of(env).frame_channel = Napi::Persistent(constructor);
  exports.Set("FrameChannel", constructor);
}

}  // namespace lockstep::binding
