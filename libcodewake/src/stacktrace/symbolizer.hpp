// From addresses of this process to functions, files and lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "codewake/frame.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "stacktrace/source_files.hpp"

struct backtrace_state;

namespace codewake::internal {

/// Resolves return addresses, innermost first, as Stacktrace::frames promises it; leading calls that a public
/// header of this library makes are left out. Throws nothing but std::bad_alloc and std::system_error.
/// Thread-safe, also in the child of a fork(); one thread at a time. The first address of a module takes
/// milliseconds, blocking on the disk.
std::vector<Frame> symbolize(std::span<void* const> addresses);

/// What `symbolize` keeps for all threads. Thread-safe.
class Symbolizer {
 public:
  /// Frames are kept by module and offset until they take so much; then those not used lately go.
  static constexpr std::size_t kMaxCacheBytes = 24u << 20;

  /// Debug information can be read but not given back, and is read anew when a module has come that was not
  /// there the last time. After so many times, frames of newer modules have a function's name at best.
  static constexpr int kMaxReadings = 16;

  std::vector<Frame> resolve(std::span<void* const> addresses);

  /// Whether no thread is at work here: in the child of a fork() it would never end.
  bool is_idle() noexcept;

  /// How many bytes the kept frames take, about.
  std::size_t cached_bytes();

 private:
  struct CachedFrame {
    Frame frame;
    bool in_public_header = false;
  };
  // The frames of one address, inlined ones first.
  using Frames = std::vector<CachedFrame>;

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

  const Frames& frames_at(const Module& module, std::uintptr_t address);
  Frames resolve_in(const Module& module, std::uintptr_t address);
  const Frames& keep(const Key& key, Frames frames);
  backtrace_state* debug_information_of(const Module& module);

  std::mutex mutex_;
  LoadedModules modules_;
  SourceFiles sources_;
  // Two generations: what is used moves to the young one; when that is half full it becomes the old one.
  Cache young_;
  Cache old_;
  std::size_t young_bytes_ = 0;
  std::size_t old_bytes_ = 0;
  backtrace_state* state_ = nullptr;
  std::unordered_set<Key, KeyHash> known_modules_;  // to state_: which module, and where it was loaded
  int readings_ = 0;
};

}  // namespace codewake::internal
