// The state records of all logs (R2): in files of a locked folder, or in anonymous memory for the simulator,
// in which they outlive a simulated kill as files outlive a real one.
//
// What a record says is cpp/core/state_layout.h's. This decides which records count: whole, readable, of this
// boot. Beside them lies the number of the newest request (cpp/core/request_record.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/state_layout.h"
#include "os/mapping.h"
#include "os/state_directory.h"
#include "os/state_room.h"

namespace lockstep {

/// One record's memory. It stays mapped while anybody holds it, also after its file is gone.
class StateSlot {
 public:
  /// `room` where not all of the record is reserved.
  StateSlot(Mapping mapping, std::string name, std::optional<StateRoom> room)
      : mapping_(std::move(mapping)), name_(std::move(name)), room_(std::move(room)) {}

  std::span<uint8_t> memory() const noexcept { return mapping_.bytes(); }
  StateRecord record() const noexcept { return StateRecord(mapping_.bytes()); }
  const std::string& name() const noexcept { return name_; }
  /// False when `ensure_room` always succeeds.
  bool is_lazy() const noexcept { return room_.has_value(); }
  /// To be asked before a bit of the region is changed for the first time: 0, or an errno (ENOSPC).
  [[nodiscard]] int ensure_room(uint64_t region) noexcept { return room_ ? room_->ensure(region) : 0; }

 private:
  Mapping mapping_;
  std::string name_;
  std::optional<StateRoom> room_;
};

struct StateStoreOptions {
  /// Nothing: anonymous memory.
  std::optional<std::string> directory;
  std::string boot_id;
  uint64_t memory_bytes_max = 0;
  /// All room of every record, also of a large one, is reserved when it is made: other hosts change any
  /// region.
  bool reserve_whole = false;
};

class StateStore {
 public:
  /// 0 or an errno; see `StateDirectory::open`.
  [[nodiscard]] static int open(const StateStoreOptions& options, std::unique_ptr<StateStore>& into);
  /// The store of a daemon that starts after the one of `previous` was killed. `previous` can be thrown away.
  [[nodiscard]] static int take_over(std::unique_ptr<StateStore> previous, std::unique_ptr<StateStore>& into);

  struct Created {
    std::shared_ptr<StateSlot> slot;
    int error = 0;
    std::string text;
  };
  [[nodiscard]] Created create(const StateStatic& fixed);

  /// The valid records of this boot; a line in `problems` for each that was put aside.
  [[nodiscard]] std::vector<std::shared_ptr<StateSlot>> restore(std::vector<std::string>& problems);

  /// Ends a record. Its memory stays as long as somebody holds the slot.
  void remove(const std::shared_ptr<StateSlot>& slot);
  /// A power cut: all records are gone.
  void drop_all();

  /// The newest request that this daemon, or an earlier one of this boot, has noted; nothing when none was,
  /// or its record was lost.
  [[nodiscard]] std::optional<uint32_t> last_request() const noexcept;
  void note_request(uint32_t seq) noexcept;

  uint64_t mapped_bytes() const noexcept { return mapped_bytes_; }
  const StateStoreOptions& options() const noexcept { return options_; }

 private:
  explicit StateStore(StateStoreOptions options) : options_(std::move(options)) {}
  [[nodiscard]] int make_slot(const StateStatic& fixed, std::shared_ptr<StateSlot>& slot, std::string& text);
  /// The slot when it counts; otherwise deals with what lies there.
  std::shared_ptr<StateSlot> judge(Fd file, Mapping mapping, const std::string& name,
                                   std::vector<std::string>& problems);
  /// Of several records of one log the one under its own name counts; the others are put aside.
  void put_copies_aside(std::vector<std::shared_ptr<StateSlot>>& found,
                        std::vector<std::string>& problems) const;
  [[nodiscard]] bool is_reserved_whole(const StateLayout& layout) const noexcept;
  void put_aside(const std::string& name, const std::string& why, std::vector<std::string>& problems) const;
  void forget_file(const std::string& name) const;
  /// Finds the record of requests or makes it. 0 or an errno.
  [[nodiscard]] int open_requests();

  StateStoreOptions options_;
  std::optional<StateDirectory> directory_;
  std::vector<std::shared_ptr<StateSlot>> slots_;
  uint64_t mapped_bytes_ = 0;
  Mapping requests_;
};

}  // namespace lockstep
