// Every scan kernel gives what the plain loop gives, at every alignment, length and place of the difference.
#include "core/scan.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/support.h"

using namespace lockstep;

namespace {

size_t first_other(const uint64_t* words, size_t count, uint64_t pattern) {
  size_t at = 0;
  while (at < count && words[at] == pattern) at++;
  return at;
}

}  // namespace

TEST_CASE("scan: each kernel finds each single difference, at each alignment") {
  for (const ScanKernel kernel : scan_kernels) {
    if (!scan_supported(kernel)) {
      MESSAGE("this processor has no " << scan_name(kernel));
      continue;
    }
    const ScanFunction scan = scan_function(kernel);
    for (const uint64_t pattern : {uint64_t{0}, ~uint64_t{0}}) {
      std::vector<uint64_t> words(128, pattern);
      uint64_t wrong = 0;
      for (size_t start = 0; start < 9; start++) {
        for (size_t count = 0; start + count <= words.size(); count++) {
          wrong += scan(words.data() + start, count, pattern) == count ? 0 : 1;
        }
        for (size_t odd = 0; odd < words.size() - start; odd++) {
          words[start + odd] = pattern ^ (uint64_t{1} << (odd % 64));
          wrong += scan(words.data() + start, words.size() - start, pattern) == odd ? 0 : 1;
          // What lies past the end must not be looked at.
          wrong += scan(words.data() + start, odd, pattern) == odd ? 0 : 1;
          words[start + odd] = pattern;
        }
      }
      CHECK_MESSAGE(wrong == 0, scan_name(kernel));
    }
  }
}

TEST_CASE("scan: random words, random kernels, dispatched function") {
  test::Random random(1);
  std::vector<uint64_t> words(700);
  uint64_t wrong = 0;
  for (int round = 0; round < 4000; round++) {
    const uint64_t pattern = random.chance(2) ? 0 : ~uint64_t{0};
    for (uint64_t& word : words) word = pattern;
    for (uint64_t odd = random.below(4); odd > 0; odd--) words[random.below(words.size())] = random.next();
    const size_t start = random.below(words.size());
    const size_t count = random.below(words.size() - start + 1);
    const size_t expected = first_other(words.data() + start, count, pattern);
    wrong += find_first_other(words.data() + start, count, pattern) == expected ? 0 : 1;
    for (const ScanKernel kernel : scan_kernels) {
      if (!scan_supported(kernel)) continue;
      wrong += scan_function(kernel)(words.data() + start, count, pattern) == expected ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("scan: counts ones") {
  test::Random random(2);
  std::vector<uint64_t> words(301);
  for (int round = 0; round < 50; round++) {
    uint64_t expected = 0;
    for (uint64_t& word : words) {
      word = random.next();
      for (int bit = 0; bit < 64; bit++) expected += (word >> bit) & 1;
    }
    CHECK(count_ones(words.data(), words.size()) == expected);
  }
  CHECK(count_ones(words.data(), 0) == 0);
}

TEST_CASE("scan: the best kernel is supported and has a name") {
  CHECK(scan_supported(scan_best()));
  CHECK(std::string(scan_name(scan_best())) != "unknown");
}
