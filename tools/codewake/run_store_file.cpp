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
#include <string_view>
#include <system_error>
#include <thread>

#include "codewake/trusted_path.hpp"
#include "command.hpp"

// A file's name holds the id of the `codewake run` that made it. While that process exists the file stays,
// for the program may not have been started yet. After that, the environment of each process says whether it,
// or what it starts, could still read the file.

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

/// The environment that a process was started with; empty for other users' processes, which could not read
/// the file. In the middle of execve() it is empty for a moment, too, unlike the link to the executable; a
/// process that was started with none keeps it empty.
std::string environment_of(const fs::path& process) {
  constexpr int kMostLooks = 100;
  for (int looks = 1;; ++looks) {
    std::ifstream in(process / "environ", std::ios::binary);
    std::string environment(std::istreambuf_iterator<char>(in), {});
    std::error_code error;
    const bool has_executable = !fs::read_symlink(process / "exe", error).empty();
    if (!environment.empty() || !has_executable || looks == kMostLooks) return environment;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

bool is_named_by(const fs::path& process, const std::string& path) {
  return environment_of(process).find("=" + path + '\0') != std::string::npos;
}

bool is_needed(const std::string& path) {
  std::error_code error;
  for (fs::directory_iterator process("/proc", error), end; !error && process != end;
       process.increment(error)) {
    const std::string name = process->path().filename().string();
    if (std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; }) &&
        is_named_by(process->path(), path))
      return true;
  }
  return static_cast<bool>(error);  // not known
}

/// Whether it is ours, and of a `codewake run` that has ended.
bool is_left_over(const fs::path& file) {
  const std::string name = file.filename().string();
  if (!name.starts_with(kPrefix)) return false;
  struct stat status {};
  if (lstat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid())
    return false;
  pid_t maker = 0;
  const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), maker);
  return error == std::errc() && maker > 0 && kill(maker, 0) != 0 && errno == ESRCH;
}

void remove_left_overs(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator file(folder, error), end; !error && file != end; file.increment(error)) {
    if (is_left_over(file->path()) && !is_needed(file->path().string())) unlink(file->path().c_str());
  }
}

}  // namespace

RunStoreFile::RunStoreFile(const std::string& dsn) {
  const fs::path where = folder();
  remove_left_overs(where);
  std::string name = (where / fmt::format("{}{}-XXXXXX", kPrefix, getpid())).string();
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
    if (is_needed(path_.string())) return;
    if (unlink(path_.c_str()) == 0 || errno == ENOENT) return;
    complain(fmt::format("{} cannot be removed, and holds the DSN: {}", path_.string(),
                         std::generic_category().message(errno)));
  } catch (const std::exception& error) {
    complain(fmt::format("{} may be left, and holds the DSN: {}", path_.string(), error.what()));
  }
}

}  // namespace codewake::cli
