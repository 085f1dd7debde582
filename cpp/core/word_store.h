// Stores into memory that outlives the process (R2). A killed daemon leaves exactly the stores that it
// executed, so what matters is that each is one aligned 64-bit store, and that the compiler keeps their
// order.
//
// No ordering between threads is meant: one thread owns a log's memory. A processor needs no fence either:
// what has retired before a kill reaches memory, in an order that only another running processor could tell
// apart.
#pragma once

#include <atomic>
#include <cstdint>

namespace lockstep {

/// One aligned 64-bit store; stays after every earlier and before every later one in program order.
inline void store_word(uint64_t& word, uint64_t value) noexcept {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::atomic_ref<uint64_t>(word).store(value, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

inline uint64_t load_word(const uint64_t& word) noexcept {
  // atomic_ref takes no const reference in C++20; a relaxed load changes nothing.
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(word)).load(std::memory_order_relaxed);
}

}  // namespace lockstep
