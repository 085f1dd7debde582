// The scan kernels. Each vector kernel goes word by word up to a cache-line boundary (a load that straddles
// two lines costs twice), then 256 bytes a step, then word by word again, in the step that differs as in the
// tail.
#include "core/scan.h"

#include <bit>

#include "core/assert.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lockstep {
namespace {

constexpr size_t step_words = 256 / sizeof(uint64_t);
constexpr size_t line_bytes = 64;

size_t scan_scalar(const uint64_t* words, size_t count, uint64_t pattern) {
  size_t at = 0;
  while (at < count && words[at] == pattern) at++;
  return at;
}

#if defined(__x86_64__)

/// Words before the first cache-line boundary, at most `count`.
size_t words_to_line(const uint64_t* words, size_t count) {
  const size_t past = reinterpret_cast<uintptr_t>(words) % line_bytes;
  const size_t head = past == 0 ? 0 : (line_bytes - past) / sizeof(uint64_t);
  return head < count ? head : count;
}

__attribute__((target("sse2"))) size_t scan_sse2(const uint64_t* words, size_t count, uint64_t pattern) {
  size_t at = words_to_line(words, count);
  const size_t differs = scan_scalar(words, at, pattern);
  if (differs < at) return differs;
  const __m128i expected = _mm_set1_epi64x(static_cast<int64_t>(pattern));
  for (; at + step_words <= count; at += step_words) {
    const auto* lanes = reinterpret_cast<const __m128i*>(words + at);
    __m128i other = _mm_setzero_si128();
    for (int lane = 0; lane < 16; lane++) {
      other = _mm_or_si128(other, _mm_xor_si128(_mm_loadu_si128(lanes + lane), expected));
    }
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(other, _mm_setzero_si128())) != 0xFFFF) break;
  }
  return at + scan_scalar(words + at, count - at, pattern);
}

__attribute__((target("avx2"))) size_t scan_avx2(const uint64_t* words, size_t count, uint64_t pattern) {
  size_t at = words_to_line(words, count);
  const size_t differs = scan_scalar(words, at, pattern);
  if (differs < at) return differs;
  const __m256i expected = _mm256_set1_epi64x(static_cast<int64_t>(pattern));
  for (; at + step_words <= count; at += step_words) {
    const auto* lanes = reinterpret_cast<const __m256i*>(words + at);
    __m256i even = _mm256_setzero_si256();
    __m256i odd = _mm256_setzero_si256();
    for (int lane = 0; lane < 8; lane += 2) {
      even = _mm256_or_si256(even, _mm256_xor_si256(_mm256_loadu_si256(lanes + lane), expected));
      odd = _mm256_or_si256(odd, _mm256_xor_si256(_mm256_loadu_si256(lanes + lane + 1), expected));
    }
    const __m256i other = _mm256_or_si256(even, odd);
    if (_mm256_testz_si256(other, other) == 0) break;
  }
  return at + scan_scalar(words + at, count - at, pattern);
}

__attribute__((target("avx512f"))) size_t scan_avx512(const uint64_t* words, size_t count, uint64_t pattern) {
  size_t at = words_to_line(words, count);
  const size_t differs = scan_scalar(words, at, pattern);
  if (differs < at) return differs;
  const __m512i expected = _mm512_set1_epi64(static_cast<int64_t>(pattern));
  for (; at + step_words <= count; at += step_words) {
    const uint64_t* lanes = words + at;
    // Compares and masks: measured faster than combining the vectors and testing once.
    const __mmask8 first = _mm512_cmpneq_epi64_mask(_mm512_loadu_si512(lanes), expected);
    const __mmask8 second = _mm512_cmpneq_epi64_mask(_mm512_loadu_si512(lanes + 8), expected);
    const __mmask8 third = _mm512_cmpneq_epi64_mask(_mm512_loadu_si512(lanes + 16), expected);
    const __mmask8 fourth = _mm512_cmpneq_epi64_mask(_mm512_loadu_si512(lanes + 24), expected);
    if ((first | second | third | fourth) != 0) break;
  }
  return at + scan_scalar(words + at, count - at, pattern);
}

__attribute__((target("popcnt"))) uint64_t count_ones_instruction(const uint64_t* words, size_t count) {
  uint64_t sum = 0;
  for (size_t at = 0; at < count; at++) sum += static_cast<uint64_t>(__builtin_popcountll(words[at]));
  return sum;
}

#endif

uint64_t count_ones_plain(const uint64_t* words, size_t count) {
  uint64_t sum = 0;
  for (size_t at = 0; at < count; at++) sum += static_cast<uint64_t>(std::popcount(words[at]));
  return sum;
}

using CountFunction = uint64_t (*)(const uint64_t*, size_t);

CountFunction best_count_function() noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("popcnt") != 0) return count_ones_instruction;
#endif
  return count_ones_plain;
}

// Chosen when the library is loaded; constant ever after, so any thread may call through them.
const ScanFunction best_scan = scan_function(scan_best());
const CountFunction best_count = best_count_function();

}  // namespace

const char* scan_name(ScanKernel kernel) noexcept {
  switch (kernel) {
    case ScanKernel::scalar:
      return "scalar";
    case ScanKernel::sse2:
      return "sse2";
    case ScanKernel::avx2:
      return "avx2";
    case ScanKernel::avx512:
      return "avx512";
  }
  return "unknown";
}

bool scan_supported(ScanKernel kernel) noexcept {
  if (kernel == ScanKernel::scalar) return true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  switch (kernel) {
    case ScanKernel::sse2:
      return true;
    case ScanKernel::avx2:
      return __builtin_cpu_supports("avx2") != 0;
    case ScanKernel::avx512:
      return __builtin_cpu_supports("avx512f") != 0;
    default:
      break;
  }
#endif
  return false;
}

ScanFunction scan_function(ScanKernel kernel) noexcept {
  LOCKSTEP_ASSERT(scan_supported(kernel));
#if defined(__x86_64__)
  switch (kernel) {
    case ScanKernel::sse2:
      return scan_sse2;
    case ScanKernel::avx2:
      return scan_avx2;
    case ScanKernel::avx512:
      return scan_avx512;
    default:
      break;
  }
#endif
  return scan_scalar;
}

ScanKernel scan_best() noexcept {
  ScanKernel best = ScanKernel::scalar;
  for (const ScanKernel kernel : scan_kernels) {
    if (scan_supported(kernel)) best = kernel;
  }
  return best;
}

size_t find_first_other(const uint64_t* words, size_t count, uint64_t pattern) noexcept {
  return best_scan(words, count, pattern);
}

uint64_t count_ones(const uint64_t* words, size_t count) noexcept { return best_count(words, count); }

}  // namespace lockstep
