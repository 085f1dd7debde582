#include "os/mapping.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "core/limits.h"

namespace lockstep {
namespace {

constexpr uint64_t heap_bytes_max = uint64_t{128} << 10;

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      heap_(std::exchange(other.heap_, false)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    release();
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    heap_ = std::exchange(other.heap_, false);
  }
  return *this;
}

Mapping::~Mapping() { release(); }

void Mapping::release() noexcept {
  if (data_ == nullptr) return;
  if (heap_) {
    std::free(data_);
  } else {
    munmap(data_, bytes_);
  }
  data_ = nullptr;
}

int Mapping::anonymous(uint64_t bytes, Mapping& into) noexcept {
  Mapping made;
  made.bytes_ = bytes;
  if (bytes <= heap_bytes_max) {
    made.heap_ = true;
    made.data_ = static_cast<uint8_t*>(std::calloc(1, bytes));
    if (made.data_ == nullptr) return ENOMEM;
  } else {
    void* at =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return errno;
    made.data_ = static_cast<uint8_t*>(at);
  }
  into = std::move(made);
  return 0;
}

int Mapping::shared_file(int fd, uint64_t bytes, Mapping& into) noexcept {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return errno;
  // A fault takes one page and no more: what is around it belongs to regions that nobody may ever write to.
  // Both are hints.
  madvise(at, bytes, MADV_RANDOM);
  madvise(at, bytes, MADV_NOHUGEPAGE);
  Mapping made;
  made.data_ = static_cast<uint8_t*>(at);
  made.bytes_ = bytes;
  into = std::move(made);
  return 0;
}

int Mapping::lock_on_fault() const noexcept {
  if (heap_ || data_ == nullptr) return 0;
  if (mlock2(data_, bytes_, MLOCK_ONFAULT) == 0) return 0;
  return mlock(data_, bytes_ < block_bytes ? bytes_ : block_bytes) == 0 ? 0 : errno;
}

}  // namespace lockstep
