#include "os/cpg_connection.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "core/assert.h"

#if LOCKSTEP_HAVE_COROSYNC
#include <corosync/cpg.h>
#include <corosync/quorum.h>
#endif

namespace lockstep {

#if LOCKSTEP_HAVE_COROSYNC

namespace {

/// A call that corosync refuses for the moment (it is forming a ring, say) is tried again for so long.
constexpr std::chrono::milliseconds again_every{20};
constexpr int again_max = 250;

template <typename Call>
cs_error_t patiently(const Call& call) {
  cs_error_t error = call();
  for (int tries = 0; error == CS_ERR_TRY_AGAIN && tries < again_max; tries++) {
    std::this_thread::sleep_for(again_every);
    error = call();
  }
  return error;
}

std::string failure(const char* what, cs_error_t error) {
  return std::string(what) + ": " + cs_strerror(error) + " (" + std::to_string(error) + ")";
}

bool name_of(const std::string& text, cpg_name& name) {
  if (text.empty() || text.size() > CPG_MAX_NAME_LENGTH) return false;
  name.length = static_cast<uint32_t>(text.size());
  std::memcpy(name.value, text.data(), text.size());
  return true;
}

std::vector<CpgProcess> processes(const cpg_address* list, size_t count) {
  std::vector<CpgProcess> found;
  found.reserve(count);
  for (size_t index = 0; index < count; index++) {
    found.push_back({list[index].nodeid, list[index].pid, list[index].reason});
  }
  return found;
}

}  // namespace

struct CpgConnection::State {
  cpg_handle_t group = 0;
  quorum_handle_t quorum = 0;
  bool group_open = false;
  bool quorum_open = false;
  cpg_name name = {};
  int group_fd = -1;
  int quorum_fd = -1;
  uint32_t node = 0;

  CpgEvent event = CpgEvent::none;
  std::span<uint8_t> inbox;
  size_t message_bytes = 0;
  CpgProcess sender;
  CpgConfiguration configuration;
  bool quorate = false;
  uint64_t quorum_ring = 0;
  uint64_t ring = 0;
  std::vector<uint32_t> ring_nodes;
  std::string lost;
  /// The quorum connection is asked at every second call first, so that a busy group does not hide it.
  bool quorum_first = false;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (group_open) cpg_finalize(group);
    if (quorum_open) quorum_finalize(quorum);
  }

  std::string open(const std::string& text);
  bool take_group();
  bool take_quorum();
  bool lose(const char* what, cs_error_t error) {
    lost = failure(what, error);
    event = CpgEvent::lost;
    return true;
  }

  static State& of(cpg_handle_t handle) {
    void* context = nullptr;
    cpg_context_get(handle, &context);
    LOCKSTEP_ASSERT(context != nullptr);
    return *static_cast<State*>(context);
  }

  static void on_message(cpg_handle_t handle, const cpg_name* /*name*/, uint32_t node, uint32_t pid,
                         void* bytes, size_t count) {
    State& state = of(handle);
    state.event = CpgEvent::message;
    state.sender = {node, pid, 0};
    state.message_bytes = count;
    const size_t kept = std::min(count, state.inbox.size());
    if (kept > 0) std::memcpy(state.inbox.data(), bytes, kept);
  }

  static void on_configuration(cpg_handle_t handle, const cpg_name* /*name*/, const cpg_address* members,
                               size_t member_count, const cpg_address* left, size_t left_count,
                               const cpg_address* joined, size_t joined_count) {
    State& state = of(handle);
    state.event = CpgEvent::configuration;
    state.configuration.members = processes(members, member_count);
    state.configuration.left = processes(left, left_count);
    state.configuration.joined = processes(joined, joined_count);
  }

  static void on_ring(cpg_handle_t handle, cpg_ring_id ring, uint32_t count, const uint32_t* nodes) {
    State& state = of(handle);
    state.event = CpgEvent::ring;
    state.ring = ring.seq;
    state.ring_nodes.assign(nodes, nodes + count);
  }

  static void on_quorum(quorum_handle_t handle, uint32_t quorate, uint64_t ring, uint32_t /*count*/,
                        uint32_t* /*nodes*/) {
    const void* context = nullptr;
    quorum_context_get(handle, &context);
    LOCKSTEP_ASSERT(context != nullptr);
    State& state = *static_cast<State*>(const_cast<void*>(context));
    state.event = CpgEvent::quorum;
    state.quorate = quorate != 0;
    state.quorum_ring = ring;
  }
};

std::string CpgConnection::State::open(const std::string& text) {
  if (!name_of(text, name)) return "a group's name has 1 to 128 bytes";
  cpg_model_v1_data_t model = {};
  model.model = CPG_MODEL_V1;
  model.cpg_deliver_fn = on_message;
  model.cpg_confchg_fn = on_configuration;
  model.cpg_totem_confchg_fn = on_ring;
  model.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF;
  cs_error_t error = patiently([&] {
    return cpg_model_initialize(&group, CPG_MODEL_V1, reinterpret_cast<cpg_model_data_t*>(&model), this);
  });
  if (error != CS_OK) return failure("cpg_initialize", error);
  group_open = true;
  quorum_callbacks_t callbacks = {};
  callbacks.quorum_notify_fn = on_quorum;
  uint32_t kind = 0;
  error = patiently([&] { return quorum_initialize(&quorum, &callbacks, &kind); });
  if (error != CS_OK) return failure("quorum_initialize", error);
  quorum_open = true;
  if (kind != QUORUM_SET)
    return "it has no quorum provider: corosync.conf needs quorum { provider: corosync_votequorum }";
  error = quorum_context_set(quorum, this);
  if (error != CS_OK) return failure("quorum_context_set", error);
  error = patiently([&] { return quorum_trackstart(quorum, CS_TRACK_CURRENT | CS_TRACK_CHANGES); });
  if (error != CS_OK) return failure("quorum_trackstart", error);
  unsigned int own = 0;
  error = patiently([&] { return cpg_local_get(group, &own); });
  if (error != CS_OK) return failure("cpg_local_get", error);
  node = own;
  error = cpg_fd_get(group, &group_fd);
  if (error == CS_OK) error = quorum_fd_get(quorum, &quorum_fd);
  if (error != CS_OK) return failure("the descriptors of corosync", error);
  error = patiently([&] { return cpg_join(group, &name); });
  if (error != CS_OK) return failure("cpg_join", error);
  return "";
}

bool CpgConnection::State::take_group() {
  const cs_error_t error = cpg_dispatch(group, CS_DISPATCH_ONE_NONBLOCKING);
  if (event != CpgEvent::none) return true;
  // Other descriptions of "nothing there" than the documented one are none: the descriptor would wake for
  // ever.
  return error == CS_OK || error == CS_ERR_TRY_AGAIN ? false : lose("cpg_dispatch", error);
}

bool CpgConnection::State::take_quorum() {
  const cs_error_t error = quorum_dispatch(quorum, CS_DISPATCH_ONE_NONBLOCKING);
  if (event != CpgEvent::none) return true;
  return error == CS_OK || error == CS_ERR_TRY_AGAIN ? false : lose("quorum_dispatch", error);
}

bool CpgConnection::built_in() noexcept { return true; }

std::string CpgConnection::connect(const std::string& group, std::unique_ptr<CpgConnection>& connection) {
  auto state = std::make_unique<State>();
  std::string problem = state->open(group);
  if (problem.empty()) connection.reset(new CpgConnection(std::move(state)));
  return problem;
}

std::string CpgConnection::read_group_names(std::vector<std::string>& names, uint32_t& node) {
  cpg_handle_t handle = 0;
  cpg_model_v1_data_t model = {};
  model.model = CPG_MODEL_V1;
  const cs_error_t opened = patiently([&] {
    return cpg_model_initialize(&handle, CPG_MODEL_V1, reinterpret_cast<cpg_model_data_t*>(&model), nullptr);
  });
  if (opened != CS_OK) return failure("cpg_initialize", opened);
  cpg_iteration_handle_t walk = 0;
  unsigned int own = 0;
  cs_error_t error = patiently([&] { return cpg_local_get(handle, &own); });
  node = own;
  if (error == CS_OK)
    error =
        patiently([&] { return cpg_iteration_initialize(handle, CPG_ITERATION_NAME_ONLY, nullptr, &walk); });
  if (error == CS_OK) {
    cpg_iteration_description_t found = {};
    while ((error = cpg_iteration_next(walk, &found)) == CS_OK) {
      names.emplace_back(found.group.value, std::min<size_t>(found.group.length, CPG_MAX_NAME_LENGTH));
    }
    cpg_iteration_finalize(walk);
    if (error == CS_ERR_NO_SECTIONS) error = CS_OK;
  }
  cpg_finalize(handle);
  return error == CS_OK ? "" : failure("cpg_iteration", error);
}

CpgConnection::CpgConnection(std::unique_ptr<State> state) : state_(std::move(state)) {}
CpgConnection::~CpgConnection() = default;

void CpgConnection::leave() {
  patiently([this] { return cpg_leave(state_->group, &state_->name); });
}

CpgEvent CpgConnection::next(std::span<uint8_t> inbox) {
  State& state = *state_;
  if (!state.lost.empty()) return CpgEvent::lost;
  state.event = CpgEvent::none;
  state.inbox = inbox;
  state.quorum_first = !state.quorum_first;
  if (state.quorum_first) {
    if (!state.take_quorum()) state.take_group();
  } else if (!state.take_group()) {
    state.take_quorum();
  }
  return state.event;
}

CpgSent CpgConnection::send(std::span<const uint8_t> bytes) {
  LOCKSTEP_ASSERT(bytes.size() <= message_bytes_max);
  iovec part = {};
  // libcpg only reads it.
  part.iov_base = const_cast<uint8_t*>(bytes.data());
  part.iov_len = bytes.size();
  const cs_error_t error = cpg_mcast_joined(state_->group, CPG_TYPE_AGREED, &part, 1);
  if (error == CS_OK) return CpgSent::sent;
  // A ring that has no room now is CS_ERR_NO_RESOURCES in some versions of libqb.
  if (error == CS_ERR_TRY_AGAIN || error == CS_ERR_NO_RESOURCES) return CpgSent::busy;
  if (state_->lost.empty()) state_->lost = failure("cpg_mcast_joined", error);
  return CpgSent::lost;
}

int CpgConnection::group_fd() const noexcept { return state_->group_fd; }
int CpgConnection::quorum_fd() const noexcept { return state_->quorum_fd; }
uint32_t CpgConnection::node() const noexcept { return state_->node; }
size_t CpgConnection::message_bytes() const noexcept { return state_->message_bytes; }
const CpgProcess& CpgConnection::sender() const noexcept { return state_->sender; }
const CpgConfiguration& CpgConnection::configuration() const noexcept { return state_->configuration; }
bool CpgConnection::quorate() const noexcept { return state_->quorate; }
uint64_t CpgConnection::quorum_ring() const noexcept { return state_->quorum_ring; }
uint64_t CpgConnection::ring() const noexcept { return state_->ring; }
const std::vector<uint32_t>& CpgConnection::ring_nodes() const noexcept { return state_->ring_nodes; }
const std::string& CpgConnection::lost_reason() const noexcept { return state_->lost; }

#else

namespace {

constexpr const char* not_built_in = "corosync is not built in";

}  // namespace

struct CpgConnection::State {};

bool CpgConnection::built_in() noexcept { return false; }

std::string CpgConnection::connect(const std::string& /*group*/, std::unique_ptr<CpgConnection>& /*out*/) {
  return not_built_in;
}
std::string CpgConnection::read_group_names(std::vector<std::string>& /*names*/, uint32_t& /*node*/) {
  return not_built_in;
}

// Nothing below is ever reached: there is no connection without `connect`.
CpgConnection::CpgConnection(std::unique_ptr<State> state) : state_(std::move(state)) {}
CpgConnection::~CpgConnection() = default;
void CpgConnection::leave() {}
CpgEvent CpgConnection::next(std::span<uint8_t> /*inbox*/) { return CpgEvent::lost; }
CpgSent CpgConnection::send(std::span<const uint8_t> /*bytes*/) { return CpgSent::lost; }
int CpgConnection::group_fd() const noexcept { return -1; }
int CpgConnection::quorum_fd() const noexcept { return -1; }
uint32_t CpgConnection::node() const noexcept { return 0; }
size_t CpgConnection::message_bytes() const noexcept { return 0; }
const CpgProcess& CpgConnection::sender() const noexcept {
  static const CpgProcess nobody;
  return nobody;
}
const CpgConfiguration& CpgConnection::configuration() const noexcept {
  static const CpgConfiguration none;
  return none;
}
bool CpgConnection::quorate() const noexcept { return false; }
uint64_t CpgConnection::quorum_ring() const noexcept { return 0; }
uint64_t CpgConnection::ring() const noexcept { return 0; }
const std::vector<uint32_t>& CpgConnection::ring_nodes() const noexcept {
  static const std::vector<uint32_t> none;
  return none;
}
const std::string& CpgConnection::lost_reason() const noexcept {
  static const std::string reason = not_built_in;
  return reason;
}

#endif

}  // namespace lockstep
