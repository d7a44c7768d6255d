// Writes beyond `ulimit -f` that are errors, and not a signal that ends the program.
#pragma once

namespace codewake::internal {

/// While it exists, the calling thread gets no SIGXFSZ: a write beyond RLIMIT_FSIZE fails with EFBIG and
/// nothing else. Afterwards the thread's mask is as before, and a signal that was pending before is still
/// pending. Costs four system calls. Thread-bound; async-signal-safe; errno stays.
class NoFileSizeSignal {
 public:
  NoFileSizeSignal() noexcept;
  NoFileSizeSignal(const NoFileSizeSignal&) = delete;
  NoFileSizeSignal& operator=(const NoFileSizeSignal&) = delete;
  ~NoFileSizeSignal();

 private:
  bool was_blocked_ = false;
  bool was_pending_ = false;
};

}  // namespace codewake::internal
