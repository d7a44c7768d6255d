#include "command_line.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/child.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

/// Becomes the program; only in a child.
[[noreturn]] void execute(const std::string& program, const std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  execvp(program.c_str(), pointers.data());
  std::perror(program.c_str());
  std::_Exit(72);
}

void redirect(const std::filesystem::path& file, int flags, int descriptor) {
  const int opened = open(file.c_str(), flags | O_CLOEXEC, 0600);
  if (opened < 0 || dup2(opened, descriptor) < 0) std::_Exit(71);
}

/// Everything that is written to the other side of a terminal until nobody has it open.
std::string read_terminal(int descriptor) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t size = read(descriptor, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;  // Linux says EIO at the end
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace

CommandLine::CommandLine() {
  const char* const executable = std::getenv("CODEWAKE_EXECUTABLE");
  if (executable == nullptr) {
    throw std::runtime_error("CODEWAKE_EXECUTABLE is not set: run the tests by tools/test or meson test");
  }
  executable_ = executable;
  std::filesystem::copy_file(test_data("reference/pycodewake.sqlite"), folder_ / "wake.sqlite");
  std::filesystem::permissions(folder_ / "wake.sqlite", std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  configure("store: {adapter: \"code_wake_sqlite_store,SqliteStore\", config: \"" + dsn() + "\"}\n");
  for (const char* name : {"STORE_ADAPTER", "STORE_CONFIG", "ENVIRONMENT", "APP_NAME", "APP_VSN",
                           "ST_FROM_EXCEPTIONS", "ST_FOR_NON_EXCEPTIONS"}) {
    set(std::string("CODE_WAKE_") + name, std::nullopt);
  }
  set("CODE_WAKE_CONFIG", (folder_ / "code_wake.conf").string());
  set("NO_COLOR", std::nullopt);
  set("COLUMNS", std::nullopt);
  set("TERM", "xterm");
}

void CommandLine::set(const std::string& name, std::optional<std::string> value) {
  variables_[name] = std::move(value);
}

void CommandLine::configure(std::string_view yaml) const {
  folder_.write("code_wake.conf", yaml);
}

std::string CommandLine::dsn(std::string_view file) const {
  return "sqlite:///" + (folder_ / file).string();
}

/// Makes the child's surroundings.
void CommandLine::enter() const {
  for (const auto& [name, value] : variables_) {
    if (value) {
      setenv(name.c_str(), value->c_str(), 1);
    } else {
      unsetenv(name.c_str());
    }
  }
  if (chdir(folder_.path().c_str()) != 0) std::_Exit(71);
}

ChildResult CommandLine::run(const std::vector<std::string>& arguments, std::string_view input) const {
  const std::filesystem::path input_file = folder_.write("input", input);
  std::vector<std::string> all = {"codewake"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return in_child([&] {
    enter();
    redirect(input_file, O_RDONLY, STDIN_FILENO);
    execute(executable_, all);
  });
}

ChildResult CommandLine::run_shell(const std::string& line) const {
  return in_child([&] {
    enter();
    const std::string folder = std::filesystem::path(executable_).parent_path().string();
    setenv("PATH", (folder + ":" + std::getenv("PATH")).c_str(), 1);
    execute("sh", {"sh", "-c", line});
  });
}

ChildResult CommandLine::run_on_terminal(const std::vector<std::string>& arguments,
                                         unsigned short columns) const {
  std::vector<std::string> all = {"codewake"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const std::filesystem::path err = folder_.write("terminal-err", "");
  winsize size{};
  size.ws_row = 24;
  size.ws_col = columns;
  std::fflush(nullptr);
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child < 0) throw std::system_error(errno, std::generic_category(), "forkpty");
  if (child == 0) {
    enter();
    redirect(err, O_WRONLY | O_TRUNC, STDERR_FILENO);
    execute(executable_, all);
  }
  ChildResult result;
  result.out = read_terminal(terminal);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  close(terminal);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  result.err = read_file(err);
  return result;
}

nlohmann::json CommandLine::run_json(const std::vector<std::string>& arguments) const {
  const ChildResult result = run(arguments);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(result.err.empty());
  return nlohmann::json::parse(result.out);
}

bool is_one_complaint(std::string_view text) {
  return text.starts_with("codewake: ") && text.find('\n') == text.size() - 1;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

}  // namespace codewake::testing
