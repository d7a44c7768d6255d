#include "bench/runner.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <system_error>
#include <utility>

#include "bench/http_sink.hpp"
#include "bench/passes.hpp"
#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"
#include "codewake/recovery.hpp"
#include "command.hpp"

namespace codewake::cli::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModule = "code_wake_sqlite_store";

fs::path make_folder(const fs::path& parent) {
  const fs::path absolute = fs::absolute(parent.empty() ? fs::temp_directory_path() : parent);
  std::string name = (absolute / "codewake-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw Error(fmt::format("cannot make a folder in {}: {}", absolute.string(),
                            std::generic_category().message(errno)));
  }
  return name;
}

std::string without_commas(std::string text) {
  for (std::size_t at = text.find(','); at != std::string::npos; at = text.find(',', at)) {
    text.replace(at, 1, "%2C");
  }
  return text;
}

std::vector<std::string> strings_of(const std::vector<fs::path>& paths) {
  std::vector<std::string> strings;
  for (const fs::path& path : paths) strings.push_back(path.string());
  return strings;
}

}  // namespace

Progress::Progress() : is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_terminal_) std::fputs("\r\x1b[K", stderr);
}

void Progress::say(std::string_view what) {
  if (is_terminal_) std::fputs(fmt::format("\r\x1b[K{} ...", what).c_str(), stderr);
}

Runner::Runner(const Sizes& sizes, const fs::path& folder, std::vector<fs::path> plugin_path,
               std::string postgres)
    : sizes_(sizes),
      plugin_path_(std::move(plugin_path)),
      folder_(make_folder(folder)),
      postgres_(std::move(postgres)),
      adapter_problem_(problem_of(kModule)) {
  fs::create_directory(folder_ / "databases");
}

Runner::~Runner() {
  clean_up();
  std::error_code error;
  fs::remove_all(folder_, error);
  if (error) complain(fmt::format("{} could not be removed: {}", folder_.string(), error.message()));
}

std::string Runner::problem_of(std::string_view module) const {
  for (const PluginFound& plugin : find_plugins(plugin_path_)) {
    if (plugin.module == module) return plugin.problem;
  }
  return fmt::format("the adapter {} is not installed, nor in CODE_WAKE_PLUGIN_PATH", module);
}

// A journal that a pass left behind, since it was interrupted, is partly in shared memory. Recovery is what
// removes it there.
void Runner::clean_up() noexcept {
  try {
    if (!fs::exists(folder_ / "journal")) return;
    const auto database = folder_ / "databases" / "wake.sqlite";
    if (fs::exists(database) && adapter_problem_.empty()) {
      const auto store = load_store(kModule, "SqliteStore", {"sqlite:///" + database.string()}, plugin_path_);
      recover_journals(*store, {.journal_folder = folder_ / "journal"});
    }
    std::uint16_t port = 0;
    if (std::ifstream(folder_ / "databases" / kSinkNote) >> port) {
      const HttpSink sink(port);
      const auto store = load_store("code_wake_raceway_store", "RacewayStore", {sink.url()}, plugin_path_);
      recover_journals(*store, {.journal_folder = folder_ / "journal"});
    }
  } catch (const std::exception& error) {
    complain(fmt::format("a journal in {} could not be removed: {}", folder_.string(), error.what()));
  }
}

Json Runner::run(Json request, const Environment& variables) {
  const fs::path databases = folder_ / "databases";
  const fs::path database = databases / "wake.sqlite";
  Environment environment = {
      {"CODE_WAKE_CONFIG", ""},
      {"CODE_WAKE_STORE_ADAPTER", fmt::format("{},SqliteQueueStore", kModule)},
      {"CODE_WAKE_STORE_CONFIG", without_commas("sqlite:///" + database.string())},
      {"CODE_WAKE_PLUGIN_PATH", fmt::format("{}", fmt::join(strings_of(plugin_path_), ":"))},
      {"CODE_WAKE_QUEUE_JOURNAL", (folder_ / "journal").string()},
  };
  for (const auto& [name, value] : variables) environment[name] = value;
  request["folder"] = databases.string();
  request["database"] = database.string();
  request["plugin_path"] = strings_of(plugin_path_);
  Json answer = run_in_child(request, environment);
  for (const auto& entry : fs::directory_iterator(databases)) fs::remove(entry.path());
  return answer;
}

}  // namespace codewake::cli::bench
