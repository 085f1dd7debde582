/*
 * Preloaded into an unmodified daemon: writes down every frame between it and the kernel, or gives its socket
 * the smallest receive buffer that the kernel allows.
 *
 *   FRAME_RECORD=FILE    one line a frame: `> ` from the kernel, `< ` to it, then hexadecimal digits
 *   FRAME_BUFFER=BYTES   the receive buffer, whatever the daemon asks for
 *
 * A second listener of the connector group could record requests too, but then the kernel would never find
 * out that the daemon is gone. This leaves what the kernel sees as it is, and gets the answers besides.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { frame_header_bytes = 36, frame_bytes_max = 2048, connector_index = 7, index_offset = 16 };

static int record_file(void) {
  static int file = -2;
  if (file == -2) {
    const char* path = getenv("FRAME_RECORD");
    file = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  return file;
}

static void record(char direction, const unsigned char* frame, size_t length) {
  const int file = record_file();
  if (file < 0 || length < frame_header_bytes || length > frame_bytes_max ||
      frame[index_offset] != connector_index) {
    return;
  }
  char line[2 * frame_bytes_max + 4];
  size_t used = (size_t)sprintf(line, "%c ", direction);
  for (size_t i = 0; i < length; i++) used += (size_t)sprintf(line + used, "%02x", frame[i]);
  line[used++] = '\n';
  /* One write a line: several threads may record. */
  if (write(file, line, used) != (ssize_t)used) abort();
}

int recvmmsg(int fd, struct mmsghdr* messages, unsigned int count, int flags, struct timespec* timeout) {
  const int taken = (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
  for (int i = 0; i < taken; i++) record('>', messages[i].msg_hdr.msg_iov->iov_base, messages[i].msg_len);
  return taken;
}

int sendmmsg(int fd, struct mmsghdr* messages, unsigned int count, int flags) {
  const int sent = (int)syscall(SYS_sendmmsg, fd, messages, count, flags);
  for (int i = 0; i < sent; i++) {
    const struct iovec* part = messages[i].msg_hdr.msg_iov;
    record('<', part->iov_base, part->iov_len);
  }
  return sent;
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  const char* buffer = getenv("FRAME_BUFFER");
  int bytes = buffer == NULL ? 0 : atoi(buffer);
  if (bytes > 0 && level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_RCVBUFFORCE)) value = &bytes;
  return (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}
