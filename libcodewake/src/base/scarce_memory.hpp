// What the library's own threads do where there is no memory: they wait for it, and the program goes on.
#pragma once

#include <chrono>
#include <new>
#include <thread>

namespace codewake::internal {

/// How long a thread waits for others to give memory back.
inline constexpr std::chrono::milliseconds kWaitForMemory{10};

/// Does `work` again until it does not throw std::bad_alloc. What it has done by then must do no harm when it
/// is done twice. Blocks; for threads of the library's own, without locks.
template <class Work>
void once_there_is_memory(Work work) {
  while (true) {
    try {
      return work();
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(kWaitForMemory);
    }
  }
}

/// Does `work` if there is memory for it: for what can be left, or comes again. Whether it was done.
template <class Work>
bool if_there_is_memory(Work work) {
  try {
    work();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace codewake::internal
