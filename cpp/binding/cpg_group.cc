// The JavaScript class CpgGroup (ts/native/cpg-group.ts): membership in one process group of corosync, over
// and over again while corosync comes and goes.
//
// What waits for corosync runs on a helper thread. A connection that is given up is handed to such a thread
// too, because its end waits as well; where none takes it, it is left to the end of the process.
#include <napi.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "binding/arguments.h"
#include "binding/callback.h"
#include "binding/getters.h"
#include "binding/instance.h"
#include "binding/loop_poll.h"
#include "binding/shared_view.h"
#include "os/cpg_connection.h"
#include "os/event_fd.h"

namespace lockstep::binding {
namespace {

/// One attempt. The other thread fills it in; nobody may wait for it any more when it does.
struct Attempt {
  std::mutex mutex;
  bool done = false;
  bool given_up = false;
  std::string problem;
  std::unique_ptr<CpgConnection> connection;
  EventFd wake;

  void run(const std::string& group) {
    std::unique_ptr<CpgConnection> made;
    std::string text = CpgConnection::connect(group, made);
    std::unique_lock guard(mutex);
    done = true;
    if (given_up) {
      guard.unlock();
      if (made != nullptr) made->leave();
      return;
    }
    problem = std::move(text);
    connection = std::move(made);
    guard.unlock();
    wake.raise();
  }
};

/// A connection's end, and whether it has been reached.
struct Farewell {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;

  void finish() {
    const std::lock_guard guard(mutex);
    done = true;
    changed.notify_all();
  }
  void wait(std::chrono::milliseconds limit) {
    std::unique_lock guard(mutex);
    changed.wait_for(guard, limit, [this] { return done; });
  }
};

class CpgGroupWrap;

/// What the watchers' callbacks work on; it outlives the JavaScript object when it must.
class Group : public std::enable_shared_from_this<Group> {
 public:
  Group(Napi::Env env, std::string name) : env_(env), name_(std::move(name)) {}

  bool connecting() const noexcept { return attempt_ != nullptr; }
  CpgConnection* connection() noexcept { return connection_.get(); }

  /// False when no thread or descriptor is left.
  bool connect(CpgGroupWrap* owner, Napi::FunctionReference on_connected,
               Napi::FunctionReference on_readable);
  /// Gives everything up. Waits for the group to be left no longer than `limit`.
  void disconnect(std::chrono::milliseconds limit) noexcept;

 private:
  void on_attempt_done();
  bool watch();
  void on_event();
  void close_polls() noexcept;
  void release_owner() noexcept;
  void end_connection(std::chrono::milliseconds limit);

  Napi::Env env_;
  const std::string name_;
  std::shared_ptr<Attempt> attempt_;
  std::unique_ptr<CpgConnection> connection_;
  LoopPoll* attempt_poll_ = nullptr;
  LoopPoll* group_poll_ = nullptr;
  LoopPoll* quorum_poll_ = nullptr;
  Napi::FunctionReference on_connected_;
  Napi::FunctionReference on_readable_;
  /// Kept from the garbage collector while a watcher may call.
  CpgGroupWrap* owner_ = nullptr;
};

/// What `next` fills in, seen by JavaScript.
struct News {
  std::array<uint8_t, CpgConnection::message_bytes_max> inbox{};
  /// Node and process of a message's sender, its length; whether the partition has quorum, in which ring; the
  /// ring.
  std::array<double, 6> event{};
};

class CpgGroupWrap : public Napi::ObjectWrap<CpgGroupWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit CpgGroupWrap(const Napi::CallbackInfo& info);
  ~CpgGroupWrap() override { group_->disconnect(std::chrono::milliseconds{0}); }

 private:
  CpgConnection& connection(const Napi::CallbackInfo& info) const {
    CpgConnection* connection = group_->connection();
    if (connection == nullptr) throw Napi::Error::New(info.Env(), "the group is not connected");
    return *connection;
  }
  Napi::Value connect(const Napi::CallbackInfo& info);
  void disconnect(const Napi::CallbackInfo& info) {
    group_->disconnect(std::chrono::milliseconds{integer_argument(info, 0, 0, 60'000)});
  }
  Napi::Value next(const Napi::CallbackInfo& info);
  Napi::Value configuration(const Napi::CallbackInfo& info);
  Napi::Value send(const Napi::CallbackInfo& info);
  Napi::Value ring_nodes(const Napi::CallbackInfo& info);
  Napi::Value lost_reason(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), connection(info).lost_reason());
  }
  Napi::Value node(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), connection(info).node());
  }

  std::shared_ptr<Group> group_;
  std::shared_ptr<News> news_ = std::make_shared<News>();
};

bool Group::connect(CpgGroupWrap* owner, Napi::FunctionReference on_connected,
                    Napi::FunctionReference on_readable) {
  const auto attempt = std::make_shared<Attempt>();
  if (!attempt->wake.valid()) return false;
  const auto self = shared_from_this();
  attempt_poll_ = LoopPoll::start(
      env_, attempt->wake.get(), [self](LoopPoll::Events /*events*/) { self->on_attempt_done(); },
      [self] { self->disconnect(std::chrono::milliseconds{0}); });
  if (attempt_poll_ == nullptr) return false;
  attempt_ = attempt;
  const bool posted =
      Instance::of(env_).helpers.post("corosync", [attempt, name = name_]() -> HelperThreads::Again {
        attempt->run(name);
        return std::nullopt;
      });
  if (!posted) {
    close_polls();
    attempt_ = nullptr;
    return false;
  }
  on_connected_ = std::move(on_connected);
  on_readable_ = std::move(on_readable);
  owner_ = owner;
  reference(*owner);
  return true;
}

void Group::on_attempt_done() {
  const auto self = shared_from_this();
  const Napi::HandleScope scope(env_);
  const auto attempt = std::exchange(attempt_, nullptr);
  attempt->wake.take();
  close_polls();
  std::string problem;
  {
    const std::lock_guard guard(attempt->mutex);
    connection_ = std::move(attempt->connection);
    problem = attempt->problem;
  }
  if (connection_ != nullptr && !watch()) {
    problem = "the event loop cannot watch corosync's descriptors";
    disconnect(std::chrono::milliseconds{0});
  }
  if (connection_ == nullptr) release_owner();
  run_from_loop(env_, [&] { call_from_loop(on_connected_, {Napi::String::New(env_, problem)}); });
}

bool Group::watch() {
  const auto self = shared_from_this();
  const auto on_event = [self](LoopPoll::Events /*events*/) { self->on_event(); };
  const auto on_end = [self] { self->disconnect(std::chrono::milliseconds{0}); };
  group_poll_ = LoopPoll::start(env_, connection_->group_fd(), on_event, on_end);
  quorum_poll_ = LoopPoll::start(env_, connection_->quorum_fd(), on_event, on_end);
  return group_poll_ != nullptr && quorum_poll_ != nullptr;
}

void Group::on_event() {
  const auto self = shared_from_this();
  const Napi::HandleScope scope(env_);
  call_from_loop(on_readable_, {});
}

void Group::close_polls() noexcept {
  for (LoopPoll** poll : {&attempt_poll_, &group_poll_, &quorum_poll_}) {
    if (*poll != nullptr) std::exchange(*poll, nullptr)->close();
  }
}

void Group::release_owner() noexcept {
  if (owner_ != nullptr) unreference(*std::exchange(owner_, nullptr));
}

void Group::disconnect(std::chrono::milliseconds limit) noexcept {
  close_polls();
  if (attempt_ != nullptr) {
    const auto attempt = std::exchange(attempt_, nullptr);
    const std::lock_guard guard(attempt->mutex);
    attempt->given_up = true;
    connection_ = std::move(attempt->connection);
  }
  if (connection_ != nullptr) end_connection(limit);
  release_owner();
}

void Group::end_connection(std::chrono::milliseconds limit) {
  // A bare pointer: should the thread's queue be thrown away, the connection must not end on this thread.
  CpgConnection* ended = connection_.release();
  const auto farewell = std::make_shared<Farewell>();
  // A lane of its own: an attempt that hangs holds up nobody's leaving.
  const bool posted =
      Instance::of(env_).helpers.post("corosync-end", [ended, farewell]() -> HelperThreads::Again {
        if (ended->lost_reason().empty()) ended->leave();
        delete ended;
        farewell->finish();
        return std::nullopt;
      });
  if (posted && limit.count() > 0) farewell->wait(limit);
}

Napi::Function CpgGroupWrap::define(Napi::Env env) {
  using Self = CpgGroupWrap;
  return with_getters(DefineClass(env, "CpgGroup",
                                  {
                                      InstanceMethod<&Self::connect>("connect"),
                                      InstanceMethod<&Self::disconnect>("disconnect"),
                                      InstanceMethod<&Self::next>("next"),
                                      InstanceMethod<&Self::configuration>("configuration"),
                                      InstanceMethod<&Self::ring_nodes>("ringNodes"),
                                      InstanceMethod<&Self::send>("send"),
                                      InstanceMethod<&Self::lost_reason>("lostReason"),
                                      InstanceMethod<&Self::node>("node", as_getter),
                                  }));
}

CpgGroupWrap::CpgGroupWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<CpgGroupWrap>(info),
      group_(std::make_shared<Group>(info.Env(), text_argument(info, 0))) {
  const Napi::Env env = info.Env();
  const auto self = info.This().As<Napi::Object>();
  expose(self, "inbox", shared_bytes(env, news_, news_->inbox.data(), news_->inbox.size()));
  expose(self, "event",
         shared_array<Napi::Float64Array>(env, news_, news_->event.data(), news_->event.size()));
}

Napi::Value CpgGroupWrap::connect(const Napi::CallbackInfo& info) {
  Napi::Function on_connected = function_argument(info, 0);
  Napi::Function on_readable = function_argument(info, 1);
  if (group_->connecting() || group_->connection() != nullptr) {
    throw Napi::Error::New(info.Env(), "the group is connected, or is being so");
  }
  const bool begun = group_->connect(this, Napi::Persistent(on_connected), Napi::Persistent(on_readable));
  return Napi::Boolean::New(info.Env(), begun);
}

Napi::Value CpgGroupWrap::next(const Napi::CallbackInfo& info) {
  CpgConnection& from = connection(info);
  const CpgEvent event = from.next(news_->inbox);
  if (event == CpgEvent::message) {
    news_->event[0] = from.sender().node;
    news_->event[1] = from.sender().pid;
    news_->event[2] = static_cast<double>(from.message_bytes());
  } else if (event == CpgEvent::quorum) {
    news_->event[3] = from.quorate() ? 1 : 0;
    news_->event[4] = static_cast<double>(from.quorum_ring());
  } else if (event == CpgEvent::ring) {
    news_->event[5] = static_cast<double>(from.ring());
  }
  return Napi::Number::New(info.Env(), static_cast<uint32_t>(event));
}

Napi::Array process_list(Napi::Env env, const std::vector<CpgProcess>& processes) {
  Napi::Array list = Napi::Array::New(env, processes.size());
  for (uint32_t index = 0; index < processes.size(); index++) {
    Napi::Object process = Napi::Object::New(env);
    process.Set("node", processes[index].node);
    process.Set("pid", processes[index].pid);
    process.Set("reason", processes[index].reason);
    list.Set(index, process);
  }
  return list;
}

Napi::Value CpgGroupWrap::configuration(const Napi::CallbackInfo& info) {
  const CpgConfiguration& configuration = connection(info).configuration();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("members", process_list(info.Env(), configuration.members));
  object.Set("left", process_list(info.Env(), configuration.left));
  object.Set("joined", process_list(info.Env(), configuration.joined));
  return object;
}

Napi::Value CpgGroupWrap::ring_nodes(const Napi::CallbackInfo& info) {
  const std::vector<uint32_t>& nodes = connection(info).ring_nodes();
  Napi::Array list = Napi::Array::New(info.Env(), nodes.size());
  for (uint32_t index = 0; index < nodes.size(); index++) list.Set(index, nodes[index]);
  return list;
}

Napi::Value CpgGroupWrap::send(const Napi::CallbackInfo& info) {
  CpgConnection& to = connection(info);
  const std::span<uint8_t> bytes = bytes_argument(info, 0);
  const size_t count = integer_argument(info, 1, 1, CpgConnection::message_bytes_max);
  if (count > bytes.size()) throw_range(info.Env(), "the message is longer than its buffer");
  return Napi::Number::New(info.Env(), static_cast<uint32_t>(to.send(bytes.first(count))));
}

}  // namespace

void define_cpg_group(Napi::Env env, Napi::Object exports) {
  // The last instance's connection ends with its JavaScript object, so no constructor is kept here.
  exports.Set("CpgGroup", CpgGroupWrap::define(env));
  exports.Set("corosyncBuiltIn", Napi::Boolean::New(env, CpgConnection::built_in()));
}

}  // namespace lockstep::binding
