#include "run_store_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <exception>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "codewake/trusted_path.hpp"
#include "command.hpp"

// A file's name holds the namespace and the id of the `codewake run` that made it. While that process exists
// the file stays, for the program may not have been started yet. After that, the environment of each process
// says whether it, or what it starts, could still read the file. Processes of another namespace, as those of
// the host seen from a container that shares /tmp, are not visible: files from there stay.

namespace codewake::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "codewake-run-";

fs::path folder() {
  const char* const runtime = secure_getenv("XDG_RUNTIME_DIR");
  const bool is_good = runtime != nullptr && *runtime == '/' && why_not_trusted(runtime).empty() &&
                       access(runtime, W_OK | X_OK) == 0;
  return is_good ? runtime : "/tmp";
}

/// The number of the namespace in which this process has its id; 0 where it is not known.
ino_t namespace_number() {
  struct stat status {};
  return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

std::string environment_of(const fs::path& process) {
  std::ifstream in(process / "environ", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::optional<std::vector<fs::path>> processes() {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator process("/proc", error), end; !error && process != end;
       process.increment(error)) {
    const std::string name = process->path().filename().string();
    if (std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; }))
      found.push_back(process->path());
  }
  return error ? std::nullopt : std::optional(std::move(found));
}

/// The environments that processes were started with; those of other users' processes, which could not read
/// the file, are not among them. In the middle of execve() an environment is empty for a moment, unlike the
/// link to the executable; a process that was started with none keeps it empty. So all that are empty are
/// looked at again, for about 100 ms together. Empty where it is not known which processes there are.
std::optional<std::vector<std::string>> environments() {
  constexpr int kMostLooks = 100;
  std::optional<std::vector<fs::path>> left = processes();
  if (!left) return std::nullopt;
  std::vector<std::string> found;
  for (int looks = 1;; ++looks) {
    std::erase_if(*left, [&](const fs::path& process) {
      std::string environment = environment_of(process);
      std::error_code error;
      const bool may_begin = environment.empty() && !fs::read_symlink(process / "exe", error).empty();
      if (!environment.empty()) found.push_back(std::move(environment));
      return !may_begin;
    });
    if (left->empty() || looks == kMostLooks) return found;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

bool is_needed(const std::string& path, const std::optional<std::vector<std::string>>& environments) {
  const std::string named = "=" + path + '\0';
  return !environments || std::ranges::any_of(*environments, [&](const std::string& environment) {
    return environment.find(named) != std::string::npos;
  });
}

/// What the names of files of this namespace begin with.
std::string prefix() {
  return fmt::format("{}{}-", kPrefix, namespace_number());
}

/// Whether it is ours, and of a `codewake run` of this namespace that has ended.
bool is_left_over(const fs::path& file, std::string_view prefix) {
  const std::string name = file.filename().string();
  if (!name.starts_with(prefix)) return false;
  struct stat status {};
  if (lstat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid())
    return false;
  pid_t maker = 0;
  const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), maker);
  return error == std::errc() && maker > 0 && kill(maker, 0) != 0 && errno == ESRCH;
}

void remove_left_overs(const fs::path& folder) {
  if (namespace_number() == 0) return;
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
    if (is_left_over(file->path(), prefix())) files.push_back(file->path());
  }
  if (files.empty()) return;
  // After the files, whose makers have ended and start nothing any more.
  const auto found = environments();
  for (const fs::path& file : files) {
    if (!is_needed(file.string(), found)) unlink(file.c_str());
  }
}

}  // namespace

RunStoreFile::RunStoreFile(const std::string& dsn) {
  const fs::path where = folder();
  remove_left_overs(where);
  std::string name = (where / fmt::format("{}{}-XXXXXX", prefix(), getpid())).string();
  const int file = mkostemp(name.data(), O_CLOEXEC);  // with mode 0600
  if (file < 0) throw std::system_error(errno, std::generic_category(), name);
  path_ = name;
  const std::string line = dsn + "\n";
  const bool is_written = write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const int error = is_written ? 0 : errno;
  close(file);
  if (is_written) return;
  unlink(path_.c_str());
  throw std::system_error(error, std::generic_category(), name);
}

RunStoreFile::~RunStoreFile() {
  try {
    if (is_needed(path_.string(), environments())) return;
    if (unlink(path_.c_str()) == 0 || errno == ENOENT) return;
    complain(fmt::format("{} cannot be removed, and holds the DSN: {}", path_.string(),
                         std::generic_category().message(errno)));
  } catch (const std::exception& error) {
    complain(fmt::format("{} may be left, and holds the DSN: {}", path_.string(), error.what()));
  }
}

}  // namespace codewake::cli
