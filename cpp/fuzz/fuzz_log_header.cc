// The beginning of a log device, and the bits behind it: raw bytes, bytes with a right checksum, and records
// that the input describes. What is accepted encodes to the same bytes again; what is imported reads back as
// it was given.
#include <array>
#include <bit>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/checksum.h"
#include "core/log_plan.h"
#include "core/state_layout.h"
#include "fuzz/fuzz_support.h"

using namespace lockstep;
using lockstep::fuzz::Input;

namespace {

void check_head(std::span<const uint8_t> bytes) {
  const LogImage::Head head = LogImage::decode_head(bytes);
  if (head.header.kind == LogHeaderKind::valid) {
    LOCKSTEP_ASSERT(head.header.version == 1 || head.header.version == log_version);
    LOCKSTEP_ASSERT(head.header.region_count <= safe_integer_max);
    std::array<uint8_t, log_session_offset> header;
    encode_log_header(head.header.region_count, header);
    const size_t version_end = 8;
    if (head.header.version == log_version)
      LOCKSTEP_ASSERT(std::equal(header.begin(), header.begin() + 8, bytes.begin()));
    LOCKSTEP_ASSERT(
        std::equal(header.begin() + version_end, header.begin() + 16, bytes.begin() + version_end));
  } else {
    LOCKSTEP_ASSERT(head.header.region_count == 0);
  }
  if (head.session) {
    std::array<uint8_t, log_session_bytes> record;
    LOCKSTEP_ASSERT(encode_log_session(*head.session, record));
    LOCKSTEP_ASSERT(std::equal(record.begin(), record.end(), bytes.begin() + log_session_offset));
  }
}

void check_session(Input input) {
  LogSession session;
  session.writer_epoch = input.take<uint64_t>();
  session.resume_count = input.take<uint32_t>();
  session.region_size_sectors = input.take<uint32_t>();
  session.closed = input.below(2) == 1;
  session.uuid = input.take_text(input.below(140));
  session.boot_id = input.take_text(input.below(70));
  session.node_name = input.take_text(input.below(140));
  std::array<uint8_t, log_session_bytes> record;
  const bool fits = session.writer_epoch <= safe_integer_max && session.uuid.size() <= uuid_bytes_max &&
                    session.boot_id.size() <= boot_id_bytes_max &&
                    session.node_name.size() <= node_name_bytes_max;
  LOCKSTEP_ASSERT(encode_log_session(session, record) == fits);
  if (!fits) return;
  LOCKSTEP_ASSERT(decode_log_session(record) == session);
  while (!input.empty()) {
    // One damaged byte is always seen.
    const uint8_t flip = input.take<uint8_t>();
    uint8_t& byte = record[input.take<uint16_t>() % record.size()];
    byte ^= flip;
    LOCKSTEP_ASSERT(decode_log_session(record).has_value() == (flip == 0));
    byte ^= flip;
  }
}

/// The device's bits into a map of the input's choice, in pieces of the input's choice.
void check_import(Input input) {
  // Most maps are small, for speed; some are larger than a page of bits and a block of the area.
  const uint64_t regions_max = input.below(16) == 0 ? 70000 : 2000;
  const uint64_t regions = 1 + input.below(regions_max);
  const uint64_t limit = input.below(regions_max + 100);
  const bool fill = input.below(2) == 1;
  const StateLayout layout = StateLayout::of(regions);
  std::vector<uint64_t> memory(layout.total_bytes / 8);
  const std::span bytes(reinterpret_cast<uint8_t*>(memory.data()), layout.total_bytes);
  RegionMap map(map_memory(bytes, layout), regions);
  LogImage image(map);
  LOCKSTEP_ASSERT(image.set_logical_block_bytes(uint64_t{512} << input.below(4)));
  map.fill_clean(0, regions, fill);
  image.plan();
  std::vector<uint8_t> device(image.area_bytes(), fill ? 0xFF : 0);
  for (uint64_t patches = input.below(32); patches > 0; patches--) {
    device[input.take<uint32_t>() % device.size()] = input.take<uint8_t>();
  }
  for (uint64_t at = 0; at < device.size();) {
    const uint64_t length = std::min<uint64_t>((1 + input.below(16)) * 512, device.size() - at);
    image.import_bytes(at, std::span(device).subspan(at, length), limit);
    at += length;
  }
  std::vector<uint8_t> bits((regions + 7) / 8);
  map.clean().read_bytes(0, bits);
  uint64_t clean = 0;
  for (uint64_t byte = 0; byte < bits.size(); byte++) {
    const uint64_t first = byte * 8;
    const uint8_t taken = first + 8 <= limit ? 0xFF : first >= limit ? 0 : (1u << (limit - first)) - 1;
    const uint8_t present = first + 8 <= regions ? 0xFF : (1u << (regions - first)) - 1;
    const uint8_t expected = ((device[1024 + byte] & taken) | ((fill ? 0xFF : 0) & ~taken)) & present;
    LOCKSTEP_ASSERT(bits[byte] == expected);
    clean += static_cast<uint64_t>(std::popcount(bits[byte]));
  }
  LOCKSTEP_ASSERT(map.clean_count() == clean);
  // Whatever was there, one plan of everything makes the device equal to the image.
  image.plan_all();
  for (uint64_t run = 0; run < image.run_count(); run++) {
    const auto [offset, length] = image.runs()[run];
    image.encode_run(run, std::span(device).subspan(offset, length));
  }
  LOCKSTEP_ASSERT(image.first_difference(0, device) == LogImage::npos);
  LOCKSTEP_ASSERT(LogImage::decode_head(device).header.region_count == regions);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  Input input(data, size);
  switch (input.take<uint8_t>() % 4) {
    case 0: {
      const auto raw = input.take_bytes(size);
      check_head(std::vector<uint8_t>(raw.begin(), raw.end()));
      break;
    }
    case 1: {
      // A head of full length whose magics and checksum are right, so that the fields behind them are
      // reached.
      std::vector<uint8_t> head(log_head_bytes);
      encode_log_header(input.take<uint64_t>(), std::span(head).first<log_session_offset>());
      head[4] = input.take<uint8_t>();
      const std::string_view magic = "LSSESS01";
      std::copy(magic.begin(), magic.end(), head.begin() + log_session_offset);
      const auto fields = input.take_bytes(500);
      std::copy(fields.begin(), fields.end(), head.begin() + log_session_offset + 8);
      const auto record = std::span(head).subspan(log_session_offset);
      store_le<uint32_t>(record, log_session_bytes - 4, crc32c(record.first(log_session_bytes - 4)));
      check_head(head);
      break;
    }
    case 2:
      check_session(input);
      break;
    default:
      check_import(input);
  }
  return 0;
}
