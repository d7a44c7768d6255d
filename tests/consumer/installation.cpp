#include "consumer/installation.hpp"

#include <fmt/format.h>
#include <stdio.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace codewake::testing {

std::string shell_word(const std::filesystem::path& path) {
  std::string text = "'";
  for (const char c : path.string()) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

Outcome run(std::string_view command, std::string_view environment) {
  FILE* pipe = popen(fmt::format("exec 2>&1 </dev/null; {} {}", environment, command).c_str(), "r");
  if (pipe == nullptr) throw std::system_error(errno, std::generic_category(), "popen");
  Outcome outcome;
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    outcome.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::string build_setting(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr)
    throw std::runtime_error(fmt::format("{} is not set: run the tests by tools/test or meson test", name));
  return value;
}

const Installation& Installation::instance() {
  static const Installation installation;
  return installation;
}

Installation::Installation() {
  const std::string prefix = build_setting("CODEWAKE_PREFIX");
  prefix_ = folder_.path() / std::filesystem::path(prefix).relative_path();
  libdir_ = prefix_ / build_setting("CODEWAKE_LIBDIR");
  includedir_ = prefix_ / build_setting("CODEWAKE_INCLUDEDIR");
  tool_ = prefix_ / build_setting("CODEWAKE_BINDIR") / "codewake";
  const Outcome installed =
      run(fmt::format("{} install -C {} --no-rebuild --destdir {}", build_setting("CODEWAKE_MESON"),
                      shell_word(build_setting("CODEWAKE_BUILD_FOLDER")), shell_word(folder_.path())));
  if (installed.status != 0) throw std::runtime_error("meson install failed: " + installed.output);
}

std::string Installation::pkg_config_environment() const {
  return fmt::format("PKG_CONFIG_LIBDIR={} PKG_CONFIG_SYSROOT_DIR={}", shell_word(libdir_ / "pkgconfig"),
                     shell_word(folder_.path()));
}

std::string Installation::run_environment(const std::filesystem::path& config) const {
  return fmt::format("env -u CODE_WAKE_PLUGIN_PATH LD_LIBRARY_PATH={} CODE_WAKE_CONFIG={}",
                     shell_word(libdir_.string() + ":" + (libdir_ / "codewake").string()),
                     shell_word(config));
}

}  // namespace codewake::testing
