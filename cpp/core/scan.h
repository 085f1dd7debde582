// Scans over words: "where is the first word that is not all alike" and "how many ones". These are what
// find-next and the counts of a bitmap spend their time in, so there is a kernel for each vector unit, chosen
// once at run time by what the processor has. Bits inside a word are the caller's.
//
// The vector kernels read 256 bytes a step and combine them before one branch: the loop then runs at the
// speed of memory. No prefetch: the hardware's is better on a straight line, and an explicit one costs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep {

enum class ScanKernel { scalar, sse2, avx2, avx512 };
inline constexpr ScanKernel scan_kernels[] = {ScanKernel::scalar, ScanKernel::sse2, ScanKernel::avx2,
                                              ScanKernel::avx512};

/// Index of the first of `count` words that differs from `pattern`, or `count`. `words` is 8-byte aligned.
using ScanFunction = size_t (*)(const uint64_t* words, size_t count, uint64_t pattern);

[[nodiscard]] const char* scan_name(ScanKernel kernel) noexcept;
/// True when this processor (and this build) can run the kernel.
[[nodiscard]] bool scan_supported(ScanKernel kernel) noexcept;
/// The kernel's function. Only to be called where it is supported.
[[nodiscard]] ScanFunction scan_function(ScanKernel kernel) noexcept;
/// The widest supported kernel: the one that `find_first_other` runs.
[[nodiscard]] ScanKernel scan_best() noexcept;

/// Index of the first of `count` words that differs from `pattern`, or `count`.
[[nodiscard]] size_t find_first_other(const uint64_t* words, size_t count, uint64_t pattern) noexcept;

/// Number of one bits in `count` words.
[[nodiscard]] uint64_t count_ones(const uint64_t* words, size_t count) noexcept;

}  // namespace lockstep
