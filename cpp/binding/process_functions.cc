// The functions of ts/native/process.ts, and the class of a locked pid file.
#include <napi.h>

#include <cstdlib>

#include "binding/arguments.h"
#include "binding/getters.h"
#include "binding/instance.h"
#include "os/local_datagram.h"
#include "os/peer.h"
#include "os/pid_file.h"
#include "os/process_memory.h"

namespace lockstep::binding {
namespace {

class PidFileWrap : public Napi::ObjectWrap<PidFileWrap> {
 public:
  static Napi::Function define(Napi::Env env) {
    return with_getters(DefineClass(env, "PidFile",
                                    {
                                        InstanceMethod<&PidFileWrap::path>("path", as_getter),
                                        InstanceMethod<&PidFileWrap::close>("close"),
                                    }));
  }
  explicit PidFileWrap(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<PidFileWrap>(info), file_(Instance::of(info.Env()).take<PidFile>()) {
    if (file_ == nullptr) throw_type(info.Env(), "locked pid files come from lockPidFile");
    // Locked until `close` or the process's end, whether or not somebody keeps the object.
    Ref();
  }

 private:
  Napi::Value path(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), file_->path()); }
  void close(const Napi::CallbackInfo& /*info*/) {
    file_->close();
    if (referenced_) Unref();
    referenced_ = false;
  }

  std::shared_ptr<PidFile> file_;
  bool referenced_ = true;
};

Napi::Value lock_pid_file(const Napi::CallbackInfo& info) {
  const std::string path = text_argument(info, 0);
  auto file = std::make_shared<PidFile>();
  const int error = file->lock(path);
  if (error != 0) throw_errno(info.Env(), error, "cannot lock " + path);
  Instance& instance = Instance::of(info.Env());
  return instance.wrap(instance.pid_file, file);
}

Napi::Value flush_io(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), set_io_flusher());
}

Napi::Value lock_memory(const Napi::CallbackInfo& info) {
  const MemoryLockResult locked = lock_code_mappings();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("lockedBytes", static_cast<double>(locked.locked_bytes));
  object.Set("failures", locked.failures);
  object.Set("errno", locked.error);
  return object;
}

Napi::Value notify_systemd(const Napi::CallbackInfo& info) {
  const std::string text = text_argument(info, 0);
  const char* address = std::getenv("NOTIFY_SOCKET");
  if (address == nullptr || *address == '\0') return Napi::Boolean::New(info.Env(), false);
  const int error = send_local_datagram(address, text, DatagramWait::until_sent);
  if (error != 0) throw_errno(info.Env(), error, std::string("cannot notify ") + address);
  return Napi::Boolean::New(info.Env(), true);
}

Napi::Value peer_credentials_of(const Napi::CallbackInfo& info) {
  const int fd = static_cast<int>(integer_argument(info, 0, 0, INT32_MAX));
  PeerCredentials peer;
  const int error = peer_credentials(fd, peer);
  if (error != 0) throw_errno(info.Env(), error, "cannot tell who is at the other end of a socket");
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("pid", peer.pid);
  object.Set("uid", peer.uid);
  object.Set("gid", peer.gid);
  return object;
}

Napi::Value find_pid_file_holder(const Napi::CallbackInfo& info) {
  const std::string path = text_argument(info, 0);
  pid_t pid = 0;
  const int error = pid_file_holder(path, pid);
  if (error != 0) throw_errno(info.Env(), error, "cannot look at the lock of " + path);
  return Napi::Number::New(info.Env(), pid);
}

Napi::Value send_datagram(const Napi::CallbackInfo& info) {
  const std::string address = text_argument(info, 0);
  const std::string text = text_argument(info, 1);
  return Napi::Number::New(info.Env(), send_local_datagram(address, text, DatagramWait::never));
}

}  // namespace

void define_process_functions(Napi::Env env, Napi::Object exports) {
  Instance::of(env).pid_file = Napi::Persistent(PidFileWrap::define(env));
  Napi::Object functions = Napi::Object::New(env);
  functions.Set("lockPidFile", Napi::Function::New<lock_pid_file>(env, "lockPidFile"));
  functions.Set("setIoFlusher", Napi::Function::New<flush_io>(env, "setIoFlusher"));
  functions.Set("lockMemory", Napi::Function::New<lock_memory>(env, "lockMemory"));
  functions.Set("notifySystemd", Napi::Function::New<notify_systemd>(env, "notifySystemd"));
  functions.Set("peerCredentials", Napi::Function::New<peer_credentials_of>(env, "peerCredentials"));
  functions.Set("pidFileHolder", Napi::Function::New<find_pid_file_holder>(env, "pidFileHolder"));
  functions.Set("sendDatagram", Napi::Function::New<send_datagram>(env, "sendDatagram"));
  exports.Set("process", functions);
}

}  // namespace lockstep::binding
