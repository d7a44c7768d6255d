// A folder for one test, gone afterwards.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace codewake::testing {

/// A new empty folder in the system's temporary folder; removed with all it holds by the destructor, in the
/// process that made it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  /// Writes a file into it and returns its path.
  std::filesystem::path write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path path_;
  int owner_pid_;
};

/// A file's content. Throws std::runtime_error where it cannot be read.
std::string read_file(const std::filesystem::path& path);

/// A file of tests/data, wherever the tests run.
std::filesystem::path test_data(std::string_view name);

}  // namespace codewake::testing
