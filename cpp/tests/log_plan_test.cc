// The log image: the bytes of the whole area for sizes at every edge, plans that write exactly what changed,
// growth, shrink and damage at import, and a model device that must always end up equal to the image.
#include "core/log_plan.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support.h"

using namespace lockstep;
using lockstep::test::OwnMap;
using lockstep::test::Random;

namespace {

const LogSession session{.uuid = "uuid",
                         .writer_epoch = 4,
                         .node_name = "alpha",
                         .boot_id = "boot",
                         .resume_count = 2,
                         .region_size_sectors = 8,
                         .closed = false};

/// The area by the book: reference layout, one bit at a time.
std::vector<uint8_t> area_of(const RegionMap& map, uint64_t logical_block_bytes, bool with_session) {
  const uint64_t regions = map.region_count();
  uint64_t bytes = 1024 + (regions + 7) / 8;
  while (bytes % logical_block_bytes != 0) bytes++;
  std::vector<uint8_t> area(bytes);
  const uint8_t magic[] = {0x72, 0x52, 0x69, 0x4d, 2};
  std::copy(std::begin(magic), std::end(magic), area.begin());
  for (int byte = 0; byte < 8; byte++) area[8 + byte] = static_cast<uint8_t>(regions >> (8 * byte));
  if (with_session) REQUIRE(encode_log_session(session, std::span(area).subspan<512, 512>()));
  for (uint64_t region = 0; region < regions; region++) {
    if (map.is_clean(region)) area[1024 + region / 8] |= static_cast<uint8_t>(1u << (region % 8));
  }
  return area;
}

/// Writes the plan into the device, as a writer would.
void write_plan(const LogImage& image, std::vector<uint8_t>& device) {
  uint64_t end = 0;
  for (uint64_t run = 0; run < image.run_count(); run++) {
    const auto [offset, bytes] = image.runs()[run];
    REQUIRE(offset % block_bytes == 0);
    REQUIRE(bytes % image.logical_block_bytes() == 0);
    REQUIRE(
        (bytes > 0 && bytes <= log_run_bytes_max && offset >= end && offset + bytes <= image.area_bytes()));
    end = offset + bytes;
    image.encode_run(run, std::span(device).subspan(offset, bytes));
  }
}

void scatter(RegionMap& map, Random& random) {
  for (int round = 0; round < 4; round++) {
    const auto batch = test::random_regions(random, map.region_count(), 64);
    round % 2 == 0 ? map.mark_clean(batch) : map.mark_dirty(batch);
  }
}

}  // namespace

TEST_CASE("log image: the whole area, byte for byte") {
  Random random(8);
  for (const uint64_t logical : {uint64_t{512}, uint64_t{4096}}) {
    for (const uint64_t regions : {1, 7, 8, 9, 32, 24575, 24576, 24577, 40000, 1 << 24}) {
      CAPTURE(regions);
      OwnMap own(regions);
      LogImage image(own.map);
      REQUIRE(image.set_logical_block_bytes(logical));
      for (const int kind : {0, 1, 2}) {
        if (kind < 2) own.map.fill_clean(0, regions, kind == 1);
        if (kind == 2) scatter(own.map, random);
        const auto expected = area_of(own.map, logical, false);
        REQUIRE(image.area_bytes() == expected.size());
        std::vector<uint8_t> device(expected.size(), 0xEE);
        REQUIRE(image.plan_all() == (expected.size() + 4095) / 4096);
        write_plan(image, device);
        REQUIRE(device == expected);
        REQUIRE(image.first_difference(0, device) == LogImage::npos);
      }
      REQUIRE(image.set_session(session));
      std::vector<uint8_t> head(1024);
      image.encode(0, head);
      const auto expected = area_of(own.map, logical, true);
      REQUIRE(std::equal(head.begin(), head.end(), expected.begin()));
      const auto decoded = LogImage::decode_head(head);
      REQUIRE(decoded.header.kind == LogHeaderKind::valid);
      REQUIRE(decoded.header.region_count == regions);
      REQUIRE(decoded.session == session);
    }
  }
}

TEST_CASE("log image: nine regions, written out") {
  OwnMap own(9);
  LogImage image(own.map);
  own.map.mark_clean(std::vector<double>{0, 2, 8});
  std::vector<uint8_t> area(image.area_bytes());
  image.encode(0, area);
  CHECK(area.size() == 1536);
  CHECK(area[8] == 9);
  CHECK(area[1024] == 0x05);
  CHECK(area[1025] == 0x01);
  CHECK(std::all_of(area.begin() + 1026, area.end(), [](uint8_t byte) { return byte == 0; }));
}

TEST_CASE("log image: random changes, plans, failed and partial writes keep the device equal") {
  const uint64_t regions = 3'000'001;
  Random random(9);
  OwnMap own(regions);
  LogImage image(own.map);
  std::vector<uint8_t> device(image.area_bytes(), 0xEE);
  image.plan_all();
  write_plan(image, device);
  for (int round = 0; round < 120; round++) {
    const auto batch = test::random_regions(random, regions, random.below(60));
    random.chance(2) ? own.map.mark_dirty(batch) : own.map.mark_clean(batch);
    if (random.chance(20)) {
      const auto [from, to] = random.range(regions);
      own.map.fill_clean(from, to, random.chance(2));
    }
    const uint64_t changed = image.changed_blocks();
    REQUIRE(image.plan() == changed);
    REQUIRE(image.changed_blocks() == 0);
    if (random.chance(3)) {
      // Half of it arrives, the rest fails; changes go on meanwhile.
      std::vector<uint8_t> attempt = device;
      write_plan(image, attempt);
      const size_t cut = random.below(device.size());
      std::copy_n(attempt.begin(), cut, device.begin());
      own.map.mark_dirty(test::random_regions(random, regions, 5));
      image.unplan();
      REQUIRE(image.run_count() == 0);
      REQUIRE(image.changed_blocks() >= changed);
      image.plan();
    }
    write_plan(image, device);
    REQUIRE(image.first_difference(0, device) == LogImage::npos);
    REQUIRE(image.plan() == 0);
    REQUIRE(image.run_count() == 0);
  }
  CHECK(device == area_of(own.map, 512, false));
}

TEST_CASE("log image: one region changes one block; neighbours join; a run ends at 1 MiB") {
  OwnMap own(uint64_t{1} << 26);
  LogImage image(own.map);
  CHECK(image.plan() == 2049);
  REQUIRE(image.run_count() == 9);
  CHECK(image.runs()[0].bytes == log_run_bytes_max);
  CHECK(image.runs()[8].offset == 8 * log_run_bytes_max);
  CHECK(image.runs()[8].bytes == 1024);
  CHECK(image.plan() == 0);

  const double per_block = 32768;
  own.map.mark_clean(std::vector<double>{24575, 24576, 24576 + per_block, 24576 + 5 * per_block});
  CHECK(image.plan() == 4);
  REQUIRE(image.run_count() == 2);
  CHECK(image.runs()[0].offset == 0);
  CHECK(image.runs()[0].bytes == 3 * block_bytes);
  CHECK(image.runs()[1].offset == 6 * block_bytes);
  CHECK(image.runs()[1].bytes == block_bytes);
}

TEST_CASE("log image: a change after the plan is in the next plan too") {
  OwnMap own(1000);
  LogImage image(own.map);
  image.plan();
  own.map.mark_clean(std::vector<double>{5});
  CHECK(image.plan() == 1);
  own.map.mark_dirty(std::vector<double>{5});
  CHECK(image.changed_blocks() == 1);
  CHECK(image.plan() == 1);
}

TEST_CASE("log image: growth and shrink at import") {
  Random random(10);
  for (const auto& [old_regions, new_regions] : std::vector<std::pair<uint64_t, uint64_t>>{
           {9, 100}, {24576, 70000}, {100, 9}, {70000, 24577}, {33, 33}}) {
    CAPTURE(old_regions);
    CAPTURE(new_regions);
    OwnMap old(old_regions);
    LogImage old_image(old.map);
    scatter(old.map, random);
    std::vector<uint8_t> device(1 << 16, 0xFF);
    std::vector<uint8_t> area(old_image.area_bytes());
    old_image.encode(0, area);
    std::copy(area.begin(), area.end(), device.begin());

    for (const bool nosync : {false, true}) {
      OwnMap own(new_regions);
      LogImage image(own.map);
      own.map.fill_clean(0, new_regions, nosync);
      image.plan();
      const auto header = LogImage::decode_head(device).header;
      REQUIRE(header.region_count == old_regions);
      // In pieces, as it is read.
      for (uint64_t offset = 0; offset < image.area_bytes(); offset += 4096) {
        const uint64_t length = std::min<uint64_t>(4096, image.area_bytes() - offset);
        image.import_bytes(offset, std::span(device).subspan(offset, length), header.region_count);
      }
      uint64_t wrong = 0;
      for (uint64_t region = 0; region < new_regions; region++) {
        const bool expected = region < old_regions ? old.map.is_clean(region) : nosync;
        wrong += own.map.is_clean(region) == expected ? 0 : 1;
      }
      CHECK(wrong == 0);
      // The header of another size, and stale bits past a shrunken map, are still to be written.
      if (old_regions != new_regions) {
        CHECK(image.changed_blocks() > 0);
        CHECK(own.map.changed().test(0));
      }
      std::vector<uint8_t> written(device.begin(),
                                   device.begin() + static_cast<ptrdiff_t>(image.area_bytes()));
      image.plan();
      write_plan(image, written);
      CHECK(written == area_of(own.map, 512, false));
    }
  }
}

TEST_CASE("log image: what was imported whole and equal needs no write") {
  const uint64_t regions = 100000;
  Random random(11);
  OwnMap source(regions);
  LogImage source_image(source.map);
  scatter(source.map, random);
  std::vector<uint8_t> device(source_image.area_bytes());
  source_image.encode(0, device);

  OwnMap own(regions);
  LogImage image(own.map);
  own.map.fill_clean(0, regions, true);
  image.import_bytes(0, device, regions);
  CHECK(image.changed_blocks() == 0);
  CHECK(image.first_difference(0, device) == LogImage::npos);
  REQUIRE(image.set_session(session));
  CHECK(image.changed_blocks() == 1);
  REQUIRE(image.set_session(session));
  CHECK(image.plan() == 1);
  image.clear_session();
  CHECK(image.changed_blocks() == 1);
  std::vector<uint8_t> head(1024);
  image.encode(0, head);
  CHECK(!LogImage::decode_head(head).session.has_value());
  CHECK(image.plan() == 1);
  image.clear_session();
  CHECK(image.plan() == 0);
}

TEST_CASE("log image: the header claims what it is told to, and is written again when that changes") {
  OwnMap own(90000);
  LogImage image(own.map);
  const auto claimed = [&image] {
    std::vector<uint8_t> head(1024);
    image.encode(0, head);
    return LogImage::decode_head(head).header.region_count;
  };
  image.plan();
  CHECK(claimed() == 90000);
  image.set_recorded_region_count(0);
  CHECK(claimed() == 0);
  CHECK(image.plan() == 1);
  image.set_recorded_region_count(0);
  CHECK(image.plan() == 0);
  image.set_recorded_region_count(90000);
  CHECK(claimed() == 90000);
  REQUIRE(image.plan() == 1);
  CHECK(image.runs()[0].offset == 0);
}

TEST_CASE(
    "log image: an import off the block grid takes the bits it has and leaves the marks of cut blocks") {
  const uint64_t regions = 90000;
  OwnMap own(regions);
  LogImage image(own.map);
  image.plan();
  const std::vector<uint8_t> ones(5120, 0xFF);
  image.import_bytes(3584, ones, regions);
  // Bytes 3584 .. 8703 of the area: bits 20480 .. 61439.
  CHECK(own.map.next_dirty(20480) == 61440);
  CHECK(own.map.clean().find_next_one(0) == 20480);
  CHECK(own.map.clean_count() == 61440 - 20480);
  CHECK(image.changed_blocks() == 0);
  // Past the area, and nothing at all: no effect.
  image.import_bytes(uint64_t{1} << 20, ones, regions);
  image.import_bytes(0, {}, regions);
  CHECK(own.map.clean_count() == 61440 - 20480);
}

TEST_CASE("log image: first difference says where") {
  const uint64_t regions = 100000;
  OwnMap own(regions);
  LogImage image(own.map);
  std::vector<uint8_t> device(image.area_bytes() + 512);
  image.encode(0, std::span(device).first(image.area_bytes()));
  // What lies past the area is anybody's.
  device[image.area_bytes()] = 1;
  CHECK(image.first_difference(0, device) == LogImage::npos);
  for (const uint64_t at :
       {uint64_t{0}, uint64_t{511}, uint64_t{600}, uint64_t{1024}, uint64_t{5000}, image.area_bytes() - 1}) {
    device[at] ^= 0x10;
    CHECK(image.first_difference(0, device) == at);
    if (at >= 512) CHECK(image.first_difference(512, std::span(device).subspan(512)) == at);
    device[at] ^= 0x10;
  }
}

TEST_CASE("log image: logical block sizes") {
  OwnMap own(24577);
  LogImage image(own.map);
  for (const uint64_t bad : {0, 1, 256, 513, 1000, 8192}) CHECK_FALSE(image.set_logical_block_bytes(bad));
  CHECK(image.area_bytes() == 4608);
  CHECK(image.plan() == 2);
  CHECK(image.set_logical_block_bytes(4096));
  CHECK(image.area_bytes() == 8192);
  CHECK(image.run_count() == 0);
  CHECK(image.changed_blocks() == 2);
  CHECK(image.plan() == 2);
  CHECK(image.runs()[0].bytes == 8192);
}
