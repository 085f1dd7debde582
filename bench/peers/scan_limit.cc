// The search over an all-clean bitmap against the fastest plain read of the same memory: same buffer, same
// pages, same thread, by turns. The bitmap is the daemon's own (cpp/core); the limit is the best of three
// read kernels of the widest vector unit this processor has, none of which decides anything on its way: 256
// bytes a step with four sums, 512 with eight, and 256 compared with all ones, whose outcome is gathered
// until the end. The last is what the search does without its decisions, so a search that is faster than all
// of them is only luckier.
//
//   scan_limit --mebibytes N --rounds N
//
// Prints one line of JSON: seconds of processor time of each pass, round by round, and of the search against
// itself before that. x86-64 only; elsewhere the scenario says so.
#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "core/bitmap.h"
#include "core/scan.h"
#include "frames.h"

namespace {

using lockstep::Bitmap;
using ReadKernel = uint64_t (*)(const uint64_t* words, size_t count);

__attribute__((target("sse2"))) inline __m128i all_ones_128() { return _mm_set1_epi64x(-1); }
__attribute__((target("avx2"))) inline __m256i all_ones_256() { return _mm256_set1_epi64x(-1); }
__attribute__((target("avx512f"))) inline __m512i all_ones_512() { return _mm512_set1_epi64(-1); }

#define LOCKSTEP_READ_KERNEL(name, isa, vector, load, combine, ones, lanes, step)                           \
  __attribute__((target(isa))) uint64_t name(const uint64_t* words, size_t count) {                         \
    vector sums[lanes];                                                                                     \
    for (auto& sum : sums) sum = ones();                                                                    \
    constexpr size_t vector_words = sizeof(vector) / 8;                                                     \
    for (size_t at = 0; at < count; at += (step) / 8) {                                                     \
      _Pragma("GCC unroll 16") for (size_t part = 0; part < (step) / sizeof(vector); part++) {              \
        sums[part % (lanes)] = combine(                                                                     \
            sums[part % (lanes)], load(reinterpret_cast<const vector*>(words + at + part * vector_words))); \
      }                                                                                                     \
    }                                                                                                       \
    uint64_t words_of[vector_words * (lanes)];                                                              \
    __builtin_memcpy(words_of, sums, sizeof words_of);                                                      \
    uint64_t all = 0;                                                                                       \
    for (const uint64_t word : words_of) all |= ~word;                                                      \
    return all;                                                                                             \
  }

LOCKSTEP_READ_KERNEL(read_sse2_4, "sse2", __m128i, _mm_loadu_si128, _mm_and_si128, all_ones_128, 4, 256)
LOCKSTEP_READ_KERNEL(read_sse2_8, "sse2", __m128i, _mm_loadu_si128, _mm_and_si128, all_ones_128, 8, 512)
LOCKSTEP_READ_KERNEL(read_avx2_4, "avx2", __m256i, _mm256_loadu_si256, _mm256_and_si256, all_ones_256, 4, 256)
LOCKSTEP_READ_KERNEL(read_avx2_8, "avx2", __m256i, _mm256_loadu_si256, _mm256_and_si256, all_ones_256, 8, 512)
LOCKSTEP_READ_KERNEL(read_avx512_4, "avx512f", __m512i, _mm512_loadu_si512, _mm512_and_si512, all_ones_512, 4,
                     256)
LOCKSTEP_READ_KERNEL(read_avx512_8, "avx512f", __m512i, _mm512_loadu_si512, _mm512_and_si512, all_ones_512, 8,
                     512)

__attribute__((target("sse2"))) uint64_t compare_sse2(const uint64_t* words, size_t count) {
  int same = 0xFFFF;
  for (size_t at = 0; at < count; at += 32) {
    const auto* lanes = reinterpret_cast<const __m128i*>(words + at);
    __m128i all = all_ones_128();
    _Pragma("GCC unroll 16") for (int lane = 0; lane < 16; lane++) all =
        _mm_and_si128(all, _mm_loadu_si128(lanes + lane));
    same &= _mm_movemask_epi8(_mm_cmpeq_epi8(all, all_ones_128()));
  }
  return same == 0xFFFF ? 0 : 1;
}

__attribute__((target("avx2"))) uint64_t compare_avx2(const uint64_t* words, size_t count) {
  int same = 1;
  for (size_t at = 0; at < count; at += 32) {
    const auto* lanes = reinterpret_cast<const __m256i*>(words + at);
    __m256i all = all_ones_256();
    _Pragma("GCC unroll 8") for (int lane = 0; lane < 8; lane++) all =
        _mm256_and_si256(all, _mm256_loadu_si256(lanes + lane));
    same &= _mm256_testc_si256(all, all_ones_256());
  }
  return same == 1 ? 0 : 1;
}

__attribute__((target("avx512f"))) uint64_t compare_avx512(const uint64_t* words, size_t count) {
  unsigned differ = 0;
  for (size_t at = 0; at < count; at += 32) {
    _Pragma("GCC unroll 4") for (size_t lane = 0; lane < 4; lane++) differ |=
        _mm512_cmpneq_epi64_mask(_mm512_loadu_si512(words + at + lane * 8), all_ones_512());
  }
  return differ;
}

constexpr size_t read_kernels = 3;

struct Limit {
  const char* unit;
  ReadKernel kernels[read_kernels];
};

Limit widest() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return {"avx512", {read_avx512_4, read_avx512_8, compare_avx512}};
  if (__builtin_cpu_supports("avx2")) return {"avx2", {read_avx2_4, read_avx2_8, compare_avx2}};
  return {"sse2", {read_sse2_4, read_sse2_8, compare_sse2}};
}

uint64_t* map_words(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("no memory for %zu bytes", bytes);
  return static_cast<uint64_t*>(memory);
}

/// Processor time of this thread: a pass neither waits nor calls the kernel, so what the clock on the wall
/// has more is what somebody else did with the core.
double processor_seconds() {
  timespec now;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) die("no clock of the thread's processor time");
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

template <typename Work>
double seconds_of(const Work& work) {
  const double started = processor_seconds();
  work();
  return processor_seconds() - started;
}

std::string list(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) {
    text += text.empty() ? '[' : ',';
    text += std::to_string(value);
  }
  text += ']';
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t mebibytes = number_option(argc, argv, "--mebibytes", 512);
  const uint64_t rounds = number_option(argc, argv, "--rounds", 9);
  const uint64_t bits = mebibytes << 23;
  const size_t words = Bitmap::word_count(bits);
  const size_t page_words = Bitmap::page_word_count(bits);
  uint64_t* memory = map_words(words * 8);
  uint64_t* pages = map_words(page_words * 8);
  uint64_t polarity = 0;
  Bitmap bitmap({{memory, words}, {pages, page_words}, &polarity}, bits);
  // All but the last bit, then that one: a fill of the whole map touches no word, and there would be nothing
  // to read.
  bitmap.fill(0, bits - 1, true);
  bitmap.assign(bits - 1, true);
  if (bitmap.literal_page_count() != Bitmap::page_count(bits)) die("not every page of the map is there");

  const auto search = [&] {
    if (bitmap.find_next_zero(0) != Bitmap::npos) die("the map is not clean");
  };
  const Limit limit = widest();
  uint64_t sum = 0;
  const auto read = [&](ReadKernel kernel) { return seconds_of([&] { sum |= kernel(memory, words); }); };
  search();
  std::vector<double> first, second, searches;
  std::vector<double> reads[read_kernels];
  for (uint64_t round = 0; round < rounds; round++) {
    first.push_back(seconds_of(search));
    second.push_back(seconds_of(search));
  }
  for (uint64_t round = 0; round < rounds; round++) {
    // Who goes first changes from round to round.
    if (round % 2 == 0) searches.push_back(seconds_of(search));
    for (size_t kernel = 0; kernel < read_kernels; kernel++)
      reads[kernel].push_back(read(limit.kernels[kernel]));
    if (round % 2 == 1) searches.push_back(seconds_of(search));
  }
  // What was read is used, so that no compiler leaves the reading out.
  if (sum != 0) die("the words are not all ones");
  std::printf(
      "{\"bytes\":%zu,\"unit\":\"%s\",\"search_unit\":\"%s\",\"first\":%s,\"second\":%s,\"search\":%s,",
      words * 8, limit.unit, lockstep::scan_name(lockstep::scan_best()), list(first).c_str(),
      list(second).c_str(), list(searches).c_str());
  std::printf("\"reads\":[%s,%s,%s]}\n", list(reads[0]).c_str(), list(reads[1]).c_str(),
              list(reads[2]).c_str());
  return 0;
}
