// Datagrams in and out, many a call: one drain and one send for the kernel's connector socket and for local
// sockets that carry the same frames.
//
// Slots are memory that JavaScript sees too (frame geometry in cpp/core/limits.h). A port has one peer: the
// kernel, or the other end of a local socket. On the listening side the peer changes: a new client replaces
// the old. The port never blocks, and it closes a descriptor only through `drop_peer` or its end, because
// whoever polls a descriptor must let go of it first.
//
// Not here: event loops, and what a frame asks for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/frame.h"
#include "core/limits.h"
#include "os/fd.h"

namespace lockstep {

/// The slots of one direction, and a length for each.
struct FrameSlots {
  static constexpr size_t bytes = frame_slot_start + frame_slot_count * frame_slot_stride;

  std::unique_ptr<uint8_t[]> memory;
  std::unique_ptr<int32_t[]> lengths;

  FrameSlots();
  uint8_t* slot(size_t index) const noexcept {
    return memory.get() + frame_slot_start + index * frame_slot_stride;
  }
};

struct FramePortCounters {
  uint64_t received = 0;
  uint64_t sent = 0;
  uint64_t foreign = 0;
  uint64_t truncated = 0;
  uint64_t unanswerable = 0;
  uint64_t malformed = 0;
  uint64_t overruns = 0;
  uint64_t dropped = 0;
  uint64_t accepted = 0;
  uint64_t refused = 0;
};

class FramePort {
 public:
  /// Most outgoing frames that wait for the socket; those beyond it are dropped and counted.
  static constexpr size_t queue_frames_max = 1024;
  /// Asked for on local sockets; the system may give less.
  static constexpr int send_buffer_bytes = 1 << 20;

  /// The kernel's connector, group 7. 0 or an errno.
  [[nodiscard]] static int open_connector(int receive_buffer_bytes, std::unique_ptr<FramePort>& into);
  /// Listens on a path in a folder that is ours alone.
  [[nodiscard]] static int listen(const std::string& path, std::unique_ptr<FramePort>& into);
  [[nodiscard]] static int connect(const std::string& path, std::unique_ptr<FramePort>& into);

  FramePort(const FramePort&) = delete;
  FramePort& operator=(const FramePort&) = delete;
  ~FramePort();

  /// Takes in what waits, up to `frame_slot_count` frames; their lengths stand in `in().lengths`, negative
  /// for a malformed frame that can be answered.
  uint32_t drain();
  /// Sends the first `count` out slots; returns how many were dropped.
  uint32_t send(uint32_t count);
  /// Sends what is queued as far as the socket takes it: when the peer is writable.
  void send_queued();

  const FrameSlots& in() const noexcept { return *in_; }
  const FrameSlots& out() const noexcept { return *out_; }
  std::shared_ptr<FrameSlots> share_in() const noexcept { return in_; }
  std::shared_ptr<FrameSlots> share_out() const noexcept { return out_; }

  /// -1 when there is no peer.
  int peer_fd() const noexcept { return peer_.get(); }
  /// -1 unless this is the listening side.
  int listen_fd() const noexcept { return listener_.get(); }
  size_t queued() const noexcept { return queue_used_; }
  /// The peer has ended its stream, or broke the rules: `drop_peer` is due.
  bool peer_ended() const noexcept { return peer_ended_; }
  /// Looks whether the stream has ended, without taking a frame.
  void check_ended();
  /// Reads and thereby clears the socket's pending error.
  void clear_error();
  void drop_peer();

  /// Listening side: the newest client that waits and may come in, or an invalid descriptor.
  Fd accept_newest();
  /// Makes a client the peer; the old one must have been dropped.
  void adopt(Fd peer);

  const FramePortCounters& counters() const noexcept { return counters_; }

 private:
  /// What is checked of an incoming datagram.
  enum class Accept {
    /// Requests of the kernel: sender port id 0, whole request header, id 7:1.
    kernel,
    /// Requests of a simulated kernel: the same but for the sender, which the socket vouches for.
    requests,
    /// Whatever the daemon replies; the receiver checks as the kernel would.
    anything,
  };
  struct Headers;

  explicit FramePort(Accept accept);
  uint32_t receive_round(uint32_t filled);
  bool keep(uint32_t index, uint32_t filled);
  uint32_t send_now(uint32_t count);
  int send_some(uint32_t first, uint32_t count);
  void enqueue(const uint8_t* frame, uint32_t length);

  Accept accept_;
  Fd listener_;
  Fd peer_;
  /// Where the listening socket stands, and which file it is.
  Fd folder_;
  std::string name_;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
  bool peer_ended_ = false;
  std::shared_ptr<FrameSlots> in_;
  std::shared_ptr<FrameSlots> out_;
  std::unique_ptr<Headers> headers_;
  /// The headers that the kernel has written to since they were prepared.
  uint32_t headers_first_ = 0;
  uint32_t headers_used_ = 0;
  /// A ring of `queue_frames_max` slots, allocated when the socket first refuses a frame.
  std::vector<uint8_t> queue_;
  std::vector<uint32_t> queue_lengths_;
  size_t queue_first_ = 0;
  size_t queue_used_ = 0;
  FramePortCounters counters_;
};

}  // namespace lockstep
