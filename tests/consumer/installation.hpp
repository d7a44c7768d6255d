// This build, installed into a temporary folder, and what a user does with it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "support/temporary_folder.hpp"

namespace codewake::testing {

/// What a shell command said, on either stream, and its exit status.
struct Outcome {
  int status = 0;
  std::string output;
};

/// Runs a command in a shell. `environment` stands before it, such as `A=1 B=2`.
Outcome run(std::string_view command, std::string_view environment = {});

/// An argument as the shell reads it back.
std::string shell_word(const std::filesystem::path& path);

/// A copy of this build as `meson install` makes it. Made once for the test program, by the first call.
class Installation {
 public:
  static const Installation& instance();

  /// Where something is that the build installs to `path` below the prefix.
  std::filesystem::path in_prefix(const std::filesystem::path& path) const { return prefix_ / path; }
  const std::filesystem::path& libdir() const noexcept { return libdir_; }
  const std::filesystem::path& includedir() const noexcept { return includedir_; }
  /// The installed command line.
  const std::filesystem::path& tool() const noexcept { return tool_; }

  /// Variables under which pkg-config finds this copy and no other.
  std::string pkg_config_environment() const;

  /// Variables under which a program finds the library, and `config` as its configuration.
  std::string run_environment(const std::filesystem::path& config) const;

 private:
  Installation();

  TemporaryFolder folder_;
  std::filesystem::path prefix_;
  std::filesystem::path libdir_;
  std::filesystem::path includedir_;
  std::filesystem::path tool_;
};

/// A setting of this build that the tests need, from the environment. Throws std::runtime_error where it is
/// not there.
std::string build_setting(const char* name);

}  // namespace codewake::testing
