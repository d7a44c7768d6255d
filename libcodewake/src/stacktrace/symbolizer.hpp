// From addresses to functions, files and lines.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "codewake/frame.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "stacktrace/module_symbols.hpp"
#include "stacktrace/source_access.hpp"
#include "stacktrace/source_files.hpp"

namespace codewake::internal {

/// Resolves return addresses of this process, innermost first, as Stacktrace::frames promises it, up to so
/// many frames; leading calls that a public header of this library makes, or
/// Boost.Stacktrace, are left out. The text is fit for
/// storing. Throws nothing but std::bad_alloc and std::system_error. Thread-safe, also in the child of a
/// fork(); one thread at a time. The first address of a module takes milliseconds, blocking on the disk.
std::vector<Frame> symbolize(std::span<void* const> addresses, std::uint32_t epoch, std::size_t max_frames);

/// The same for addresses of another run of the effective user, which had these modules: the frames are those
/// that it would have had itself, as far as the modules' files are still the same. Root reads no module that
/// belongs to another user: for a run of another user, call it as that user.
std::vector<Frame> symbolize(std::span<void* const> addresses, const std::vector<Module>& modules,
                             std::uint32_t epoch);

/// Resolves what is not known of frames of whatever process, as the public `symbolize` promises it; there may
/// be more of them than a stack trace has, and text that was not fit for storing stays so.
/// See SourceFolders for `source_folders`: without any, no source line is read.
std::vector<Frame> symbolize_stored(std::span<const Frame> frames,
                                    const std::vector<std::string>& source_folders = {});

/// Source lines and paths may be in any encoding; stores take UTF-8.
void make_storable(Frame& frame);

/// What `symbolize` keeps for all threads. Its options say where the frames come from, and so which files may
/// be read (Trust); without any it is as strict as for frames of a store. Thread-safe.
class Symbolizer {
 public:
  /// Frames are kept by module and offset until they take so much; then those not used lately go.
  static constexpr std::size_t kMaxCacheBytes = 16u << 20;

  /// So many modules' files are open at most, and they take at most `max_bytes` and what one address needs;
  /// those not used lately are closed. They are opened anew when a frame is asked for that is not kept.
  static constexpr std::size_t kMaxOpenModules = 32;

  /// After so many addresses that were not kept, the pages of the files that they were found in are given
  /// back.
  static constexpr std::size_t kReleaseInterval = 16;

  explicit Symbolizer(SymbolOptions options = {});

  std::vector<Frame> resolve(std::span<void* const> addresses, std::uint32_t epoch = kLatestEpoch,
                             std::size_t max_frames = SIZE_MAX);
  std::vector<Frame> resolve(std::span<void* const> addresses, const std::vector<Module>& modules,
                             std::uint32_t epoch = kLatestEpoch);
  std::vector<Frame> resolve_stored(std::span<const Frame> stored);

  /// Whether no thread is at work here: in the child of a fork() it would never end.
  bool is_idle() noexcept;

  /// How many bytes the kept frames take, about.
  std::size_t cached_bytes();

 private:
  struct CachedFrame {
    Frame frame;
    bool is_capturing = false;  // left out where it is innermost
    bool lacks_file = false;    // of its module, and so its function's name
  };
  // The frames of one address, inlined ones first.
  using Frames = std::vector<CachedFrame>;

  // A frame of a stack whose function only the dynamic linker may know.
  struct Unnamed {
    std::size_t index;
    std::uintptr_t address;
  };

  struct Key {
    std::size_t module_identity;
    std::uint64_t offset;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return key.module_identity ^ (key.offset * 0x9E3779B97F4A7C15u);
    }
  };
  using Cache = std::unordered_map<Key, Frames, KeyHash>;

  struct OpenModule {
    OpenModule(const Module& module, const SymbolOptions& options)
        : identity(module.identity), symbols(module.path, module.build_id, options) {}
    std::size_t identity;
    ModuleSymbols symbols;
  };

  // Files are held from the first look into them to the end of the call.
  class LetGo {
   public:
    explicit LetGo(Symbolizer& symbolizer) : symbolizer_(symbolizer) {}
    LetGo(const LetGo&) = delete;
    LetGo& operator=(const LetGo&) = delete;
    ~LetGo() {
      for (OpenModule& open : symbolizer_.open_) open.symbols.let_go();
      symbolizer_.close_modules(0);
    }

   private:
    Symbolizer& symbolizer_;
  };

  void forget_other_user();
  static void append(const Frames& found, std::vector<Frame>& frames);
  template <class Find>
  std::vector<Frame> resolve_by(std::span<void* const> addresses, std::size_t max_frames, Find find_module,
                                std::vector<Unnamed>& unnamed);
  const Frames& frames_at(const Module& module, std::uint64_t offset);
  Frames resolve_in(ModuleSymbols& symbols, const Module& module, std::uint64_t offset);
  void find_source(const Call& call, bool may_read, Frame& frame);
  const Frames& keep(const Key& key, Frames frames);
  ModuleSymbols& symbols_of(const Module& module);
  void release_pages() noexcept;
  // Closes what exceeds the bounds, except for so many modules that were used last: one while its addresses
  // are resolved, which may need more memory than all are to take.
  void close_modules(std::size_t kept) noexcept;

  const SymbolOptions options_;
  const SourceFolders source_folders_;
  std::mutex mutex_;
  LoadedModules modules_;
  SourceFiles sources_;
  // Two generations: what is used moves to the young one; when that is half full it becomes the old one.
  Cache young_;
  Cache old_;
  Frames unkept_;  // of a module that could not be read, until the next address
  std::size_t young_bytes_ = 0;
  std::size_t old_bytes_ = 0;
  std::list<OpenModule> open_;  // the one used last comes first
  uid_t user_ = 0;              // whose rights decided what is kept
  std::size_t resolved_ = 0;    // addresses
};

}  // namespace codewake::internal
