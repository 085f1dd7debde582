// The bitmap against a vector of bools, by random operations. What a kill leaves behind is kill_test.cc's.
#include "core/bitmap.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "tests/support.h"

using namespace lockstep;
using lockstep::test::Random;

namespace {

/// A bitmap with memory of its own.
struct OwnBitmap {
  explicit OwnBitmap(uint64_t bits)
      : words(Bitmap::word_count(bits)), pages(Bitmap::page_word_count(bits)), map(memory(), bits) {}
  BitmapMemory memory() { return {words, pages, &polarity}; }

  std::vector<uint64_t> words;
  std::vector<uint64_t> pages;
  uint64_t polarity = 0;
  Bitmap map;
};

/// The same by the book.
struct Model {
  explicit Model(uint64_t count) : bits(count) {}

  uint64_t find(uint64_t from, bool value) const {
    for (uint64_t bit = from; bit < bits.size(); bit++) {
      if (bits[bit] == value) return bit;
    }
    return Bitmap::npos;
  }
  uint64_t count() const { return static_cast<uint64_t>(std::count(bits.begin(), bits.end(), true)); }
  std::vector<uint8_t> bytes(uint64_t first, uint64_t length) const {
    std::vector<uint8_t> out(length);
    for (uint64_t bit = first * 8; bit < std::min<uint64_t>((first + length) * 8, bits.size()); bit++) {
      if (bits[bit]) out[bit / 8 - first] |= static_cast<uint8_t>(1u << (bit % 8));
    }
    return out;
  }

  std::vector<bool> bits;
};

void compare(const Bitmap& map, const Model& model, Random& random) {
  REQUIRE(map.count() == model.count());
  for (int look = 0; look < 6; look++) {
    const uint64_t from = random.below(model.bits.size() + 2);
    const bool value = random.chance(2);
    const uint64_t expected = model.find(from, value);
    REQUIRE(map.find_next(from, value) == expected);
    const uint64_t wrapped = expected != Bitmap::npos ? expected : model.find(0, value);
    REQUIRE(map.find_next_wrapped(from, value) == wrapped);
    const uint64_t bit = random.below(model.bits.size());
    REQUIRE(map.test(bit) == model.bits[bit]);
  }
  const uint64_t first = random.below(model.bits.size() / 8 + 2);
  std::vector<uint8_t> piece(random.below(9000));
  map.read_bytes(first, piece);
  REQUIRE(piece == model.bytes(first, piece.size()));
}

void write_random_bytes(Bitmap& map, Model& model, Random& random) {
  const uint64_t first = random.below(model.bits.size() / 64 + 1) * 8;
  auto bytes = test::random_bytes(random, random.below(6000));
  if (random.chance(2)) std::fill(bytes.begin(), bytes.end(), random.chance(2) ? uint8_t{0xFF} : uint8_t{0});
  const uint64_t limit = random.chance(2) ? ~uint64_t{0} : random.below(model.bits.size() + 1);
  map.write_bytes(first, bytes, limit);
  const uint64_t end = std::min<uint64_t>({limit, model.bits.size(), (first + bytes.size()) * 8});
  for (uint64_t bit = first * 8; bit < end; bit++) {
    model.bits[bit] = ((bytes[bit / 8 - first] >> (bit % 8)) & 1) != 0;
  }
}

/// One random change of both.
void change(Bitmap& map, Model& model, Random& random) {
  switch (random.below(8)) {
    case 0: {
      const auto [from, to] = random.range(model.bits.size());
      const bool value = random.chance(2);
      map.fill(from, to, value);
      std::fill(model.bits.begin() + static_cast<ptrdiff_t>(from),
                model.bits.begin() + static_cast<ptrdiff_t>(to), value);
      break;
    }
    case 1:
      write_random_bytes(map, model, random);
      break;
    default:
      for (uint64_t changes = random.below(20); changes > 0; changes--) {
        const uint64_t bit = random.below(model.bits.size());
        const bool value = random.chance(2);
        REQUIRE(map.assign(bit, value) == (model.bits[bit] != value));
        model.bits[bit] = value;
      }
  }
}

}  // namespace

TEST_CASE("bitmap: random operations equal the model") {
  const uint64_t page = bitmap_page_bits;
  for (const uint64_t bits : {uint64_t{1}, uint64_t{7}, uint64_t{64}, uint64_t{65}, uint64_t{3001}, page,
                              page + 1, 3 * page - 5, 70 * page + 77}) {
    CAPTURE(bits);
    Random random(bits);
    OwnBitmap own(bits);
    Model model(bits);
    const int rounds = bits > 10 * page ? 60 : 600;
    for (int round = 0; round < rounds; round++) {
      change(own.map, model, random);
      compare(own.map, model, random);
      if (random.chance(16)) {
        // A restart: nothing but the memory is left.
        const Bitmap again(own.memory(), bits);
        compare(again, model, random);
      }
    }
  }
}

TEST_CASE("bitmap: copy takes over every bit, whatever the polarities") {
  const uint64_t bits = 5 * bitmap_page_bits + 17;
  Random random(4);
  OwnBitmap source(bits);
  OwnBitmap target(bits);
  Model source_model(bits);
  Model target_model(bits);
  for (int round = 0; round < 150; round++) {
    for (uint64_t changes = random.below(4); changes > 0; changes--) change(source.map, source_model, random);
    for (uint64_t changes = random.below(3); changes > 0; changes--) change(target.map, target_model, random);
    target.map.copy_from(source.map);
    target_model.bits = source_model.bits;
    compare(target.map, target_model, random);
    compare(source.map, source_model, random);
    REQUIRE(Bitmap(target.memory(), bits).count() == target_model.count());
  }
}

TEST_CASE("bitmap: a whole-map fill touches no words and gives pages back") {
  const uint64_t bits = 200 * bitmap_page_bits;
  OwnBitmap own(bits);
  own.map.fill_all(true);
  CHECK(own.map.count() == bits);
  CHECK(own.map.literal_page_count() == 0);
  CHECK(std::all_of(own.words.begin(), own.words.end(), [](uint64_t word) { return word == 0; }));
  CHECK(own.map.find_next_zero(0) == Bitmap::npos);
  CHECK(own.map.assign(bitmap_page_bits * 100, false));
  CHECK(own.map.literal_page_count() == 1);
  CHECK(own.map.find_next_zero(0) == bitmap_page_bits * 100);
  CHECK(own.map.find_next_wrapped(bitmap_page_bits * 100 + 1, false) == bitmap_page_bits * 100);
  own.map.fill(0, bits, false);
  CHECK(own.map.literal_page_count() == 0);
  CHECK(own.map.count() == 0);
}

TEST_CASE("bitmap: an import that agrees with a uniform page leaves it uniform") {
  const uint64_t bits = 4 * bitmap_page_bits;
  OwnBitmap own(bits);
  own.map.fill_all(true);
  std::vector<uint8_t> bytes(bits / 8, 0xFF);
  own.map.write_bytes(0, bytes, bits);
  CHECK(own.map.literal_page_count() == 0);
  bytes[bitmap_page_bytes * 2 + 5] = 0xFB;
  own.map.write_bytes(0, bytes, bits);
  CHECK(own.map.literal_page_count() == 1);
  CHECK(own.map.count() == bits - 1);
  CHECK(own.map.find_next_zero(0) == bitmap_page_bits * 2 + 42);
}

TEST_CASE("bitmap: bits past the end of the map are neither counted nor found nor read") {
  OwnBitmap own(70);
  own.map.assign(3, true);
  own.words[1] = ~uint64_t{0};
  Bitmap again(own.memory(), 70);
  CHECK(again.count() == 7);
  CHECK(again.assign(69, false));
  CHECK(again.find_next_one(69) == Bitmap::npos);
  std::vector<uint8_t> bytes(12, 0xAA);
  again.read_bytes(0, bytes);
  CHECK(bytes == std::vector<uint8_t>{8, 0, 0, 0, 0, 0, 0, 0, 0x1F, 0, 0, 0});
}
