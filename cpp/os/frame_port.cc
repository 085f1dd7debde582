#include "os/frame_port.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/assert.h"

namespace lockstep {
namespace {

/// Rounds of one drain: a bound for a flood of frames that are all thrown away.
constexpr int drain_rounds_max = 8;

}  // namespace

FrameSlots::FrameSlots() : memory(new uint8_t[bytes]()), lengths(new int32_t[frame_slot_count]()) {}

/// What recvmmsg and sendmmsg read, prepared once.
struct FramePort::Headers {
  std::array<mmsghdr, frame_slot_count> in{};
  std::array<iovec, frame_slot_count> in_parts{};
  std::array<sockaddr_nl, frame_slot_count> senders{};
  std::array<mmsghdr, frame_slot_count> out{};
  std::array<iovec, frame_slot_count> out_parts{};
};

FramePort::FramePort(Accept accept)
    : accept_(accept),
      in_(std::make_shared<FrameSlots>()),
      out_(std::make_shared<FrameSlots>()),
      headers_(std::make_unique<Headers>()) {
  for (size_t index = 0; index < frame_slot_count; index++) {
    headers_->in_parts[index] = {in_->slot(index), frame_bytes_max};
    headers_->out_parts[index] = {out_->slot(index), 0};
    msghdr& in = headers_->in[index].msg_hdr;
    in.msg_iov = &headers_->in_parts[index];
    in.msg_iovlen = 1;
    in.msg_name = accept_ == Accept::kernel ? &headers_->senders[index] : nullptr;
    in.msg_namelen = accept_ == Accept::kernel ? sizeof(sockaddr_nl) : 0;
    msghdr& out = headers_->out[index].msg_hdr;
    out.msg_iov = &headers_->out_parts[index];
    out.msg_iovlen = 1;
  }
}

FramePort::~FramePort() {
  peer_.reset();
  if (!listener_.valid()) return;
  listener_.reset();
  // Only our own socket: a later listener may have taken the path over.
  struct stat status = {};
  if (fstatat(folder_.get(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_dev == device_ &&
      status.st_ino == inode_) {
    unlinkat(folder_.get(), name_.c_str(), 0);
  }
}

uint32_t FramePort::drain() {
  uint32_t filled = 0;
  for (int round = 0; round < drain_rounds_max && filled < frame_slot_count; round++) {
    const uint32_t before = filled;
    const uint32_t taken = receive_round(filled);
    if (taken == 0) break;
    for (uint32_t index = before; index < before + taken; index++) {
      if (keep(index, filled)) filled++;
    }
    if (taken < frame_slot_count - before) break;
  }
  counters_.received += filled;
  return filled;
}

/// One recvmmsg into the slots from `filled` on; returns how many datagrams came.
uint32_t FramePort::receive_round(uint32_t filled) {
  if (!peer_.valid() || peer_ended_) return 0;
  // Only what the last round filled in: 256 headers are a cache's worth, and most rounds bring one frame.
  for (; headers_used_ > 0; headers_used_--) {
    msghdr& header = headers_->in[headers_first_ + headers_used_ - 1].msg_hdr;
    header.msg_namelen = accept_ == Accept::kernel ? sizeof(sockaddr_nl) : 0;
    header.msg_flags = 0;
  }
  // An overrun is reported once, and the socket stays congested until it has been read empty.
  for (int attempt = 0; attempt < drain_rounds_max; attempt++) {
    const int taken =
        recvmmsg(peer_.get(), &headers_->in[filled], frame_slot_count - filled, MSG_DONTWAIT, nullptr);
    if (taken > 0) {
      headers_first_ = filled;
      headers_used_ = static_cast<uint32_t>(taken);
      return headers_used_;
    }
    if (errno == ENOBUFS) {
      counters_.overruns++;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) peer_ended_ = accept_ != Accept::kernel;
    return 0;
  }
  return 0;
}

/// Judges the datagram in slot `index`; one that is kept moves down to slot `filled`.
bool FramePort::keep(uint32_t index, uint32_t filled) {
  const mmsghdr& header = headers_->in[index];
  const uint32_t length = header.msg_len;
  if (accept_ != Accept::kernel && length == 0) {
    // The end of the stream reads as an empty datagram, for ever; nobody sends one otherwise.
    peer_ended_ = true;
    return false;
  }
  if ((header.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
    counters_.truncated++;
    return false;
  }
  if (accept_ == Accept::kernel &&
      (header.msg_hdr.msg_namelen < sizeof(sockaddr_nl) || headers_->senders[index].nl_pid != 0)) {
    counters_.foreign++;
    return false;
  }
  int32_t signed_length = static_cast<int32_t>(length);
  if (accept_ != Accept::anything) {
    const FrameError error = check_frame({in_->slot(index), length});
    if (error == FrameError::foreign_id) {
      counters_.foreign++;
      return false;
    }
    if (error != FrameError::ok && !frame_answerable(error)) {
      counters_.unanswerable++;
      return false;
    }
    if (error != FrameError::ok) {
      counters_.malformed++;
      signed_length = -signed_length;
    }
  }
  if (index != filled) std::memcpy(in_->slot(filled), in_->slot(index), length);
  in_->lengths[filled] = signed_length;
  return true;
}

uint32_t FramePort::send(uint32_t count) {
  LOCKSTEP_ASSERT(count <= frame_slot_count);
  const uint64_t dropped_before = counters_.dropped;
  // What waits goes first.
  uint32_t sent = queue_used_ == 0 ? send_now(count) : 0;
  for (; sent < count; sent++) enqueue(out_->slot(sent), static_cast<uint32_t>(out_->lengths[sent]));
  return static_cast<uint32_t>(counters_.dropped - dropped_before);
}

/// Sends until the socket takes no more; returns how many are dealt with, dropped ones included.
uint32_t FramePort::send_now(uint32_t count) {
  if (!peer_.valid() || peer_ended_) {
    counters_.dropped += count;
    return count;
  }
  for (uint32_t index = 0; index < count; index++) {
    const int32_t length = out_->lengths[index];
    LOCKSTEP_ASSERT(length > 0 && static_cast<size_t>(length) <= frame_bytes_max);
    headers_->out_parts[index].iov_len = static_cast<size_t>(length);
  }
  uint32_t done = 0;
  while (done < count) {
    const int sent = send_some(done, count - done);
    if (sent > 0) {
      done += static_cast<uint32_t>(sent);
      counters_.sent += static_cast<uint32_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR) {
      // One frame that cannot be sent does not hold up the rest; a peer that is gone drops them all.
      done++;
      counters_.dropped++;
    }
  }
  return done;
}

/// One system call; returns how many left, or -1 with errno.
int FramePort::send_some(uint32_t first, uint32_t count) {
  constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (count > 1) return sendmmsg(peer_.get(), &headers_->out[first], count, flags);
  // Most turns answer one request, and the kernel has less to copy and check then.
  const iovec& part = headers_->out_parts[first];
  return ::send(peer_.get(), part.iov_base, part.iov_len, flags) < 0 ? -1 : 1;
}

void FramePort::enqueue(const uint8_t* frame, uint32_t length) {
  if (queue_used_ == queue_frames_max || !peer_.valid() || peer_ended_) {
    counters_.dropped++;
    return;
  }
  if (queue_.empty()) {
    queue_.resize(queue_frames_max * frame_bytes_max);
    queue_lengths_.resize(queue_frames_max);
  }
  const size_t at = (queue_first_ + queue_used_) % queue_frames_max;
  std::memcpy(queue_.data() + at * frame_bytes_max, frame, length);
  queue_lengths_[at] = length;
  queue_used_++;
}

void FramePort::send_queued() {
  while (queue_used_ > 0 && peer_.valid()) {
    const ssize_t sent = ::send(peer_.get(), queue_.data() + queue_first_ * frame_bytes_max,
                                queue_lengths_[queue_first_], MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (sent < 0 && errno == EINTR) continue;
    (sent < 0 ? counters_.dropped : counters_.sent)++;
    queue_first_ = (queue_first_ + 1) % queue_frames_max;
    queue_used_--;
  }
}

void FramePort::check_ended() {
  if (accept_ == Accept::kernel || !peer_.valid()) return;
  uint8_t byte;
  const ssize_t length = recv(peer_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool waiting = length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  if (length <= 0 && !waiting) peer_ended_ = true;
}

void FramePort::clear_error() {
  if (!peer_.valid()) return;
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(peer_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) return;
  if (error == ENOBUFS) counters_.overruns++;
}

void FramePort::drop_peer() {
  peer_.reset();
  peer_ended_ = false;
  counters_.dropped += queue_used_;
  queue_first_ = 0;
  queue_used_ = 0;
}

Fd FramePort::accept_newest() {
  Fd newest;
  if (!listener_.valid()) return newest;
  for (;;) {
    Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return newest;
    }
    ucred credentials = {};
    socklen_t length = sizeof(credentials);
    const bool known = getsockopt(client.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 &&
                       length == sizeof(credentials);
    if (!known || (credentials.uid != geteuid() && credentials.uid != 0)) {
      counters_.refused++;
      continue;
    }
    counters_.accepted++;
    newest = std::move(client);
  }
}

void FramePort::adopt(Fd peer) {
  LOCKSTEP_ASSERT(!peer_.valid());
  const int bytes = send_buffer_bytes;
  setsockopt(peer.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
  peer_ = std::move(peer);
  peer_ended_ = false;
}

}  // namespace lockstep
