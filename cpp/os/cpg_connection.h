// One connection to corosync: a member of one process group (libcpg), and whether this partition has quorum
// (libquorum).
//
// Calls that wait for corosync (`connect`, `part`, `read_group_names`) are for helper threads: a corosync
// that is stopped never answers them. `next` and `send` never wait and belong to one thread. What they rely
// on: libqb's rings are read without a timeout, and a message goes into a ring of 1 MiB with a byte into a
// socket that tells the other side of it. Where that socket is full, libqb spins until there is room; so who
// sends keeps few messages on their way (`ts/cluster/group-session.ts` does) and never comes near that.
//
// Built without corosync's headers everything is here and `connect` says what is missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

/// A process in a group. `reason` is why it came or went, in corosync's numbers (`cpg_reason_t`).
struct CpgProcess {
  uint32_t node = 0;
  uint32_t pid = 0;
  uint32_t reason = 0;
};

struct CpgConfiguration {
  std::vector<CpgProcess> members;
  std::vector<CpgProcess> left;
  std::vector<CpgProcess> joined;
};

/// The numbers are those of ts/native/cpg-group.ts.
enum class CpgEvent : uint32_t { none = 0, message = 1, configuration = 2, quorum = 3, lost = 4, ring = 5 };
enum class CpgSent : uint32_t { sent = 0, busy = 1, lost = 2 };

class CpgConnection {
 public:
  /// Longest message that is sent, or handed out whole.
  static constexpr size_t message_bytes_max = size_t{64} * 1024;
  /// Longest name of a group (`CPG_MAX_NAME_LENGTH`).
  static constexpr size_t name_bytes_max = 128;

  static bool built_in() noexcept;

  /// Connects and joins. Empty on success, else what failed, in words. May never return.
  static std::string connect(const std::string& group, std::unique_ptr<CpgConnection>& connection);
  /// Names of all groups of the cluster, as they are (some end in NUL), and this node's number. May never
  /// return.
  static std::string read_group_names(std::vector<std::string>& names, uint32_t& node);

  CpgConnection(const CpgConnection&) = delete;
  CpgConnection& operator=(const CpgConnection&) = delete;
  /// Gives the connection up without a word to the group. May never return.
  ~CpgConnection();

  /// Leaves the group, so that the others know why this member is gone. May never return.
  void leave();

  int group_fd() const noexcept;
  int quorum_fd() const noexcept;
  uint32_t node() const noexcept;

  /// Takes the next thing that happened; a message goes into `inbox`.
  CpgEvent next(std::span<uint8_t> inbox);
  /// Whole length of the message, which may be more than `inbox` held: then only its beginning is there.
  size_t message_bytes() const noexcept;
  /// Who sent the message.
  const CpgProcess& sender() const noexcept;
  const CpgConfiguration& configuration() const noexcept;
  bool quorate() const noexcept;
  /// The ring that `quorate` is about, and the last one that came in the order of the group's events: behind
  /// the configuration that it changed.
  uint64_t quorum_ring() const noexcept;
  uint64_t ring() const noexcept;
  /// The nodes of that ring: the hosts that corosync hears, whether or not they are in the group.
  const std::vector<uint32_t>& ring_nodes() const noexcept;
  /// Why the connection is lost.
  const std::string& lost_reason() const noexcept;

  /// `bytes` are at most `message_bytes_max`. `busy`: corosync takes nothing now; try again later.
  CpgSent send(std::span<const uint8_t> bytes);

 private:
  struct State;
  explicit CpgConnection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lockstep
