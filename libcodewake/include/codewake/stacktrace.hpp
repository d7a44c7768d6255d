// Stack traces: captured as raw addresses, resolved into frames when somebody looks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codewake/export.hpp"
#include "codewake/frame.hpp"

namespace codewake {

/// The calls that led to a place, innermost first. Frames of this library itself are never among them.
///
/// Capturing takes the return addresses and nothing else; the first call of `frames()` resolves them
/// (function, file, line, source line), which takes milliseconds for the first address of a module and
/// microseconds afterwards. Reentrant: one object is not for two threads at once, also not for `frames()`.
class CODEWAKE_API Stacktrace {
 public:
  /// No trace has more frames than this; the outermost are left out.
  static constexpr std::size_t kMaxFrames = 128;
  static constexpr std::size_t kDefaultFrames = 64;

  /// No frames.
  Stacktrace() noexcept;
  /// Return addresses of this process, innermost first. Those of this library, and those beyond kMaxFrames,
  /// are left out. They are taken for addresses of the modules that are loaded now.
  explicit Stacktrace(std::span<void* const> addresses) noexcept;
  /// The same of earlier: with `module_epoch()` of then.
  Stacktrace(std::span<void* const> addresses, std::uint32_t epoch) noexcept;
  /// Frames known already, innermost first: from elsewhere, or for a test. Their text is made fit (utf8.hpp).
  explicit Stacktrace(std::vector<Frame> frames);
  Stacktrace(const Stacktrace&);
  Stacktrace(Stacktrace&&) noexcept;
  Stacktrace& operator=(const Stacktrace&);
  Stacktrace& operator=(Stacktrace&&) noexcept;
  ~Stacktrace();

  /// The caller's stack. `max_frames` beyond kMaxFrames means kMaxFrames. Takes well under 10 µs; no
  /// allocation and no lock after the first call in a process.
  static Stacktrace current(std::size_t max_frames = kDefaultFrames) noexcept;

  /// Where this exception was first thrown, while it is alive. Found by the exception object, so `exception`
  /// must be a reference to it (as in `catch (const std::exception& e)`), or a copy of the one being handled.
  /// Empty where it was never thrown, where recording was off when it was, or where the hook is not in force
  /// (see throw_hook.hpp).
  static std::optional<Stacktrace> thrown_at(const std::exception& exception) noexcept;
  static std::optional<Stacktrace> thrown_at(const std::exception_ptr& exception) noexcept;

  /// Return addresses, innermost first; empty where the trace was made from frames.
  std::span<void* const> addresses() const noexcept { return {addresses_, size_}; }
  /// When they were taken: a number that grows as dlclose() is called. It tells the module that an address
  /// was in from one that was loaded into its place. Goes with the addresses, within one process.
  std::uint32_t module_epoch() const noexcept { return epoch_; }

  /// Resolved frames, innermost first; a function that was inlined is a frame of its own. What cannot be
  /// resolved is still a frame, with its module and offset; also where the module was unloaded by dlclose()
  /// since. Valid until the object changes.
  const std::vector<Frame>& frames() const&;
  /// Of a temporary: the frames themselves, so that a loop over them may outlive it.
  std::vector<Frame> frames() &&;

  bool empty() const noexcept { return size_ == 0 && frames_.empty(); }

  /// Drops the outermost so that at most `max_frames` remain. Must come before the first `frames()`.
  void truncate(std::size_t max_frames) noexcept;

 private:
  void* addresses_[kMaxFrames];
  std::uint32_t size_ = 0;
  std::uint32_t epoch_ = 0;
  std::size_t limit_ = kMaxFrames;  // of resolved frames: inlined ones may be more than the addresses
  mutable bool resolved_ = false;
  mutable std::vector<Frame> frames_;
};

/// Resolves what is not known yet of frames that were stored, by whatever process: debug files may have been
/// installed since. A frame is looked at that has a module with its build-id, and whose function or line is
/// not known; the frames come innermost first, and an inlined function becomes a frame of its own. A file
/// tells something only if it has that build-id, and only if it belongs to root or the effective user and no
/// other user can write to it; what is known of a frame stays known. Of more than Stacktrace::kMaxFrames the
/// outermost go. The result is whether `frames` has changed.
///
/// No source line is read: the frames may be anybody's, and name any file.
///
/// Thread-safe. Takes milliseconds for the first frame of a module, blocking on the disk. What was found for
/// a frame is remembered: a debug file that is installed while the process runs may not be seen by it. Throws
/// nothing but std::bad_alloc and std::system_error; `frames` is as it was then.
CODEWAKE_API bool symbolize(std::vector<Frame>& frames);

/// The same, with the source lines of files that lie below one of these folders (absolute paths; a relative
/// one is ignored). A path that the compiler recorded counts from the folder on where it is relative, without
/// the steps out of the build folder that it begins with. No symbolic link leads out of a folder.
CODEWAKE_API bool symbolize(std::vector<Frame>& frames, const std::vector<std::string>& source_folders);

}  // namespace codewake
