#include "os/state_store.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <set>

#include "core/request_record.h"

namespace lockstep {
namespace {

constexpr const char* record_suffix = ".state";
constexpr const char* aside_suffix = ".unreadable";
constexpr const char* requests_name = "last-request";

/// Records up to this size have all their room reserved on the tmpfs (11 million regions); larger ones, which
/// must not take room for regions that nobody writes to, only their head, and pages when they are needed
/// (state_room.h).
constexpr uint64_t reserved_whole_bytes_max = uint64_t{4} << 20;

/// Names are for `ls`; what a record is says the record. FNV-1a, since a uuid may be longer than a name.
std::string record_name(const StateStatic& fixed) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char letter : fixed.uuid) {
    hash = (hash ^ static_cast<uint8_t>(letter)) * 0x100000001B3;
  }
  std::array<char, 64> name{};
  const int length = std::snprintf(name.data(), name.size(), "%016" PRIx64 "-%016" PRIx64, fixed.luid, hash);
  return std::string(name.data(), static_cast<size_t>(length)) + record_suffix;
}

bool has_own_name(const std::shared_ptr<StateSlot>& slot) {
  return slot->name() == record_name(slot->record().fixed());
}

/// For whoever went back to an older program: both numbers.
std::string version_text(std::span<const uint8_t> record) {
  return "unknown version " + std::to_string(state_file_version(record)) +
         " of the state file, this program reads version " + std::to_string(state_version);
}

}  // namespace

int StateStore::open(const StateStoreOptions& options, std::unique_ptr<StateStore>& into) {
  std::unique_ptr<StateStore> store(new StateStore(options));
  if (options.directory) {
    StateDirectory directory;
    if (const int error = directory.open(*options.directory); error != 0) return error;
    // Leftovers of an interrupted creation go before the first creation of this process.
    std::vector<std::string> names;
    if (const int error = directory.list(record_suffix, names); error != 0) return error;
    store->directory_ = std::move(directory);
  }
  if (const int error = store->open_requests(); error != 0) return error;
  into = std::move(store);
  return 0;
}

int StateStore::open_requests() {
  if (!directory_) {
    if (const int error = Mapping::anonymous(RequestRecord::bytes, requests_); error != 0) return error;
    return RequestRecord::create(requests_.bytes(), options_.boot_id) ? 0 : EINVAL;
  }
  Mapping found;
  Fd file;
  if (directory_->map(requests_name, file, found) == 0 &&
      RequestRecord::valid(found.bytes(), options_.boot_id)) {
    requests_ = std::move(found);
  } else {
    std::string temporary;
    Mapping made;
    const uint64_t bytes = RequestRecord::bytes;
    if (const int error = directory_->create_temporary(bytes, bytes, temporary, file, made); error != 0)
      return error;
    if (!RequestRecord::create(made.bytes(), options_.boot_id)) return EINVAL;
    if (const int error = directory_->rename(temporary, requests_name); error != 0) return error;
    requests_ = std::move(made);
  }
  // Without a right to lock memory it may be swapped, which costs time and no truth.
  static_cast<void>(requests_.lock_on_fault());
  return 0;
}

std::optional<uint32_t> StateStore::last_request() const noexcept {
  return RequestRecord::last(requests_.bytes());
}

void StateStore::note_request(uint32_t seq) noexcept { RequestRecord::note(requests_.bytes(), seq); }

int StateStore::take_over(std::unique_ptr<StateStore> previous, std::unique_ptr<StateStore>& into) {
  const StateStoreOptions options = previous->options_;
  if (options.directory) {
    previous.reset();
    return open(options, into);
  }
  std::unique_ptr<StateStore> store(new StateStore(options));
  store->slots_ = std::move(previous->slots_);
  store->mapped_bytes_ = previous->mapped_bytes_;
  store->requests_ = std::move(previous->requests_);
  into = std::move(store);
  return 0;
}

StateStore::Created StateStore::create(const StateStatic& fixed) {
  Created created;
  if (fixed.region_count == 0 || fixed.region_count > region_count_max) {
    return {nullptr, EINVAL, "impossible region count " + std::to_string(fixed.region_count)};
  }
  const uint64_t bytes = StateLayout::of(fixed.region_count).total_bytes;
  if (bytes > options_.memory_bytes_max || mapped_bytes_ > options_.memory_bytes_max - bytes) {
    return {nullptr, ENOMEM,
            "log needs " + std::to_string(bytes) + " bytes, limit is " +
                std::to_string(options_.memory_bytes_max) + ", in use " + std::to_string(mapped_bytes_)};
  }
  created.error = make_slot(fixed, created.slot, created.text);
  if (created.error != 0) {
    if (created.text.empty())
      created.text = std::string("cannot make state record: ") + std::strerror(created.error);
    return created;
  }
  slots_.push_back(created.slot);
  mapped_bytes_ += bytes;
  return created;
}

int StateStore::make_slot(const StateStatic& fixed, std::shared_ptr<StateSlot>& slot, std::string& text) {
  const StateLayout layout = StateLayout::of(fixed.region_count);
  Fd file;
  Mapping mapping;
  std::string temporary;
  if (!directory_) {
    if (const int error = Mapping::anonymous(layout.total_bytes, mapping); error != 0) return error;
  } else {
    const uint64_t reserved = is_reserved_whole(layout) ? layout.total_bytes : layout.words_offset[0];
    if (const int error =
            directory_->create_temporary(layout.total_bytes, reserved, temporary, file, mapping);
        error != 0) {
      return error;
    }
    mapping.lock_on_fault();
  }
  if (!StateRecord::create(mapping.bytes(), fixed)) {
    text = "uuid, constructor text or geometry does not fit a state record";
    if (directory_) forget_file(temporary);
    return EINVAL;
  }
  std::string name = directory_ ? record_name(fixed) : std::string();
  if (directory_) {
    if (const int error = directory_->publish(temporary, name); error != 0) {
      forget_file(temporary);
      return error;
    }
  }
  std::optional<StateRoom> room;
  if (directory_ && !is_reserved_whole(layout)) room.emplace(std::move(file), layout);
  slot = std::make_shared<StateSlot>(std::move(mapping), std::move(name), std::move(room));
  return 0;
}

bool StateStore::is_reserved_whole(const StateLayout& layout) const noexcept {
  return options_.reserve_whole || layout.total_bytes <= reserved_whole_bytes_max;
}

std::vector<std::shared_ptr<StateSlot>> StateStore::restore(std::vector<std::string>& problems) {
  std::vector<std::shared_ptr<StateSlot>> found;
  if (!directory_) {
    for (const auto& slot : slots_) {
      const bool valid = validate_state(slot->memory()) == StateError::ok;
      if (valid && slot->record().fixed().boot_id == options_.boot_id) found.push_back(slot);
    }
  } else {
    std::vector<std::string> names;
    if (const int error = directory_->list(record_suffix, names); error != 0) {
      problems.push_back(std::string("cannot read the state folder: ") + std::strerror(error));
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      Fd file;
      Mapping mapping;
      if (const int error = directory_->map(name, file, mapping); error != 0) {
        put_aside(name, std::strerror(error), problems);
      } else if (auto slot = judge(std::move(file), std::move(mapping), name, problems)) {
        found.push_back(std::move(slot));
      }
    }
    put_copies_aside(found, problems);
  }
  slots_ = found;
  mapped_bytes_ = 0;
  for (const auto& slot : slots_) mapped_bytes_ += slot->memory().size();
  return found;
}

std::shared_ptr<StateSlot> StateStore::judge(Fd file, Mapping mapping, const std::string& name,
                                             std::vector<std::string>& problems) {
  const StateError error = validate_state(mapping.bytes());
  if (error == StateError::incomplete) {
    forget_file(name);
    return nullptr;
  }
  if (error != StateError::ok) {
    const std::string why = error == StateError::bad_version ? version_text(mapping.bytes())
                                                             : std::string(state_error_text(error));
    put_aside(name, why, problems);
    return nullptr;
  }
  mapping.lock_on_fault();
  const StateLayout layout = StateLayout::of(StateRecord(mapping.bytes()).fixed().region_count);
  if (StateRecord(mapping.bytes()).fixed().boot_id != options_.boot_id) {
    forget_file(name);
    return nullptr;
  }
  std::optional<StateRoom> room;
  if (!is_reserved_whole(layout)) {
    room.emplace(std::move(file), layout);
  } else if (const int full = StateDirectory::reserve(file, layout.total_bytes); full != 0) {
    // Its kernel uses the log: it goes on with the room that it has.
    problems.push_back("state file " + name +
                       ": not all of its room could be reserved: " + std::strerror(full));
    room.emplace(std::move(file), layout);
  }
  return std::make_shared<StateSlot>(std::move(mapping), name, std::move(room));
}

void StateStore::put_copies_aside(std::vector<std::shared_ptr<StateSlot>>& found,
                                  std::vector<std::string>& problems) const {
  // Somebody has saved a copy in this folder. Two logs of one identity would both claim its device, and one
  // of them would answer with old marks.
  std::stable_partition(found.begin(), found.end(), has_own_name);
  std::set<std::string> taken;
  std::erase_if(found, [&](const std::shared_ptr<StateSlot>& slot) {
    if (taken.insert(record_name(slot->record().fixed())).second) return false;
    put_aside(slot->name(), "a copy of a record that is here", problems);
    return true;
  });
}

void StateStore::put_aside(const std::string& name, const std::string& why,
                           std::vector<std::string>& problems) const {
  const int error = directory_->rename(name, name + aside_suffix);
  problems.push_back("state file " + name + ": " + why +
                     (error == 0 ? std::string(", put aside as ") + name + aside_suffix
                                 : std::string(", and it cannot be renamed: ") + std::strerror(error)));
}

void StateStore::forget_file(const std::string& name) const {
  // A name that stays is judged again by the next daemon, and deleted then.
  [[maybe_unused]] const int error = directory_->remove(name);
}

void StateStore::remove(const std::shared_ptr<StateSlot>& slot) {
  const auto at = std::find(slots_.begin(), slots_.end(), slot);
  if (at == slots_.end()) return;
  if (directory_) forget_file(slot->name());
  mapped_bytes_ -= slot->memory().size();
  slots_.erase(at);
}

void StateStore::drop_all() {
  if (directory_) {
    std::vector<std::string> names;
    if (directory_->list(record_suffix, names) == 0) {
      for (const std::string& name : names) forget_file(name);
    }
  }
  slots_.clear();
  mapped_bytes_ = 0;
  std::ranges::fill(requests_.bytes(), uint8_t{0});
  [[maybe_unused]] const bool fits = RequestRecord::create(requests_.bytes(), options_.boot_id);
}

}  // namespace lockstep
