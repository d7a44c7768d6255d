// Lines of source files, for people to see in a stack trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stacktrace/file_trust.hpp"
#include "stacktrace/source_access.hpp"

namespace codewake::internal {

/// Where a source file is that the compiler recorded as `path`, in a module that may name it (see Trust):
/// what is found tells which files there are. Build systems name files relative to their build folder, which
/// is nearly always above the program that they build there: a relative path is looked for from each folder
/// above `module`. The result is `path` itself where it leads nowhere, and where it is absolute, but for
/// steps into folders and out again.
std::string locate_source(const std::string& path, const std::string& module);

/// The same without a look at any file.
std::string recorded_source(const std::string& path);

/// Reads source files and remembers the ones used last: at most kMaxFiles, and kMaxBytes in all. Reentrant.
class SourceFiles {
 public:
  static constexpr std::size_t kMaxFiles = 16;
  static constexpr std::size_t kMaxBytes = 4u << 20;
  /// A longer line is cut, between two characters where it is UTF-8.
  static constexpr std::size_t kMaxLineBytes = 512;

  /// Opens a file of at most so many bytes; empty where it may not be read.
  using Open = std::function<std::optional<OpenFile>(const std::string& path, std::uint64_t max_bytes)>;

  explicit SourceFiles(Open open = &open_own_source) : open_(std::move(open)) {}

  /// The line without the white space around it; `number` counts from 1. Empty where there is no such line,
  /// and where the file cannot be read, is not a regular one, or is larger than kMaxBytes. Blocks on the disk
  /// for a new file.
  std::string line(const std::string& path, std::uint32_t number);

  /// Forgets all files.
  void clear() noexcept {
    files_.clear();
    bytes_ = 0;
  }

 private:
  struct File {
    std::string path;
    std::string content;                // empty where it could not be read
    std::vector<std::uint32_t> begins;  // of the lines in the content
  };

  const File& file(const std::string& path);
  std::string read(const std::string& path) const;

  const Open open_;
  std::list<File> files_;  // the one used last comes first
  std::size_t bytes_ = 0;
};

}  // namespace codewake::internal
