#include "os/process_memory.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

namespace lockstep {
namespace {

struct CodeMapping {
  uint64_t start;
  uint64_t end;
};

/// One line of /proc/self/maps, when it is a mapping to lock.
bool parse_line(const char* line, CodeMapping& mapping) {
  std::array<char, 5> rights{};
  uint64_t inode = 0;
  int path_at = 0;
  const int fields = std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64 " %n",
                                 &mapping.start, &mapping.end, rights.data(), &inode, &path_at);
  // What is shared and writable is data of somebody's making, the state records among it, which stay sparse.
  if (fields != 4 || inode == 0 || rights[0] != 'r' || (rights[1] == 'w' && rights[3] != 'p')) return false;
  const std::string_view path(line + path_at);
  return path.starts_with('/') && !path.starts_with("/dev/") && !path.starts_with("/memfd:");
}

/// Read before the first lock, because each lock may split lines.
std::vector<CodeMapping> code_mappings(int& error) {
  std::vector<CodeMapping> mappings;
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/proc/self/maps", "re"), std::fclose);
  if (file == nullptr) {
    error = errno;
    return mappings;
  }
  char* line = nullptr;
  size_t room = 0;
  CodeMapping mapping{};
  while (getline(&line, &room, file.get()) > 0) {
    if (parse_line(line, mapping)) mappings.push_back(mapping);
  }
  std::free(line);
  return mappings;
}

}  // namespace

MemoryLockResult lock_code_mappings() {
  MemoryLockResult result;
  for (const CodeMapping& mapping : code_mappings(result.error)) {
    const uint64_t bytes = mapping.end - mapping.start;
    // The address is the kernel's own word for a mapping of this process.
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    const auto* at = reinterpret_cast<const void*>(mapping.start);
    if (mlock(at, bytes) == 0) {
      result.locked_bytes += bytes;
    } else {
      if (result.error == 0) result.error = errno;
      result.failures++;
    }
  }
  return result;
}

int set_io_flusher() noexcept { return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0 ? 0 : errno; }

}  // namespace lockstep
