// Runs a function in a process of its own that shares this one's memory and none of its descriptors, while
// the calling thread waits.
//
// For calls that a SIGKILL of this process must not break off, and that must not keep this process's sockets
// and locks open when it is gone: a device-mapper suspend that waits for its device to come to rest. Nothing
// is copied and nothing executed, so it needs neither memory nor the root disk.
//
// If this process is killed the function goes on to its end. It may stand still there when it needs a lock of
// the allocator that another thread held, so whatever it leaves half done somebody else must be able to end.
#pragma once

#include <functional>

namespace lockstep {

/// Runs `work` there to its end. 0; EINTR when that process was killed; another errno when there was none.
[[nodiscard]] int run_apart(const std::function<void()>& work);

}  // namespace lockstep
