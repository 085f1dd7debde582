// The folder of the state files (R2): locked against a second daemon, closed to other users, with files that
// appear whole under their name or not at all.
//
// It knows names and bytes; what a state file says is cpp/core/state_layout.h's, and which of them count is
// state_store.h's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "os/fd.h"
#include "os/mapping.h"

namespace lockstep {

class StateDirectory {
 public:
  /// Opens the folder, makes it when it is missing (its parent must exist), and locks it until this object or
  /// the process ends. Returns 0 or an errno: EBUSY when another daemon has it, EACCES when it belongs to
  /// another user or others may look into it.
  [[nodiscard]] int open(const std::string& path);

  /// A temporary file of `bytes` zero bytes, open and mapped. A file that a kill leaves under such a name is
  /// nobody's record; `list` deletes it.
  [[nodiscard]] int create_temporary(uint64_t bytes, uint64_t bytes_reserved, std::string& name, Fd& file,
                                     Mapping& mapping);
  /// Gives the first `bytes` of a file their room on the tmpfs: 0 or an errno (ENOSPC).
  [[nodiscard]] static int reserve(const Fd& file, uint64_t bytes);
  /// Gives the temporary file its name. EEXIST when the name is taken.
  [[nodiscard]] int publish(const std::string& temporary, const std::string& name) const;
  [[nodiscard]] int remove(const std::string& name) const;
  /// Renames, over whatever has that name.
  [[nodiscard]] int rename(const std::string& from, const std::string& to) const;
  /// Opens and maps a whole file. An empty one has an empty mapping.
  [[nodiscard]] int map(const std::string& name, Fd& file, Mapping& mapping) const;
  /// Names of the files that end in `suffix`.
  [[nodiscard]] int list(const std::string& suffix, std::vector<std::string>& names) const;

 private:
  Fd directory_;
  Fd lock_;
  uint64_t temporary_count_ = 0;
};

}  // namespace lockstep
