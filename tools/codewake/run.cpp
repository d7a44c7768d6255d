// `codewake run -- PROGRAM ARGS…`: a program that was never changed, recorded by preloading the library.
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"
#include "codewake/recovery.hpp"
#include "codewake/throw_hook.hpp"
#include "codewake/time.hpp"
#include "codewake/watching.hpp"
#include "command.hpp"
#include "output.hpp"
#include "run_store_file.hpp"
#include "text.hpp"

namespace codewake::cli {
namespace {

namespace fs = std::filesystem;

// As shells and env(1) have it.
constexpr int kNotFound = 127;
constexpr int kNotExecutable = 126;

struct RunOptions {
  bool throws = false;
  std::vector<std::string> words = {};  ///< the program and its arguments
};

/// The library that this program itself uses.
fs::path library_path() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&throw_hook_in_force), &info) == 0 || info.dli_fname == nullptr) {
    throw Error("libcodewake is not found, so that it cannot be preloaded");
  }
  return fs::canonical(info.dli_fname);
}

/// The small one beside it, of the same version, that is preloaded.
std::string watch_library_path(const fs::path& library) {
  constexpr std::string_view kName = "libcodewake";
  const std::string name = library.filename().string();
  const fs::path path = library.parent_path() / (std::string(kName) + "-watch" + name.substr(kName.size()));
  if (!fs::exists(path))
    throw Error(fmt::format("{} is not there, so that it cannot be preloaded", path.string()));
  if (path.string().find_first_of(": ") != std::string::npos)
    throw Error(fmt::format("{}: a path with a space or a colon cannot be preloaded", path.string()));
  return path.string();
}

/// The same store with a queue before it, where its module has one: then recording costs the program little.
std::string queueing_adapter(const Config& config) {
  constexpr std::string_view kStore = "Store";
  constexpr std::string_view kQueueStore = "QueueStore";
  const std::string& name = config.store.class_name;
  if (name.ends_with(kQueueStore) || !name.ends_with(kStore)) return *config.store.adapter;
  const std::string wanted = name.substr(0, name.size() - kStore.size()) + std::string(kQueueStore);
  for (const PluginFound& plugin : find_plugins(config.plugin_path)) {
    if (plugin.module != config.store.module) continue;
    const bool has_it = std::any_of(plugin.classes.begin(), plugin.classes.end(),
                                    [&](const PluginFound::Class& c) { return c.name == wanted; });
    if (has_it) return config.store.module + "," + wanted;
  }
  return *config.store.adapter;
}

void set_variable(const char* name, const std::string& value) {
  if (setenv(name, value.c_str(), 1) != 0) throw std::system_error(errno, std::generic_category(), name);
}

/// Empty, and one line says why, where nothing can be recorded.
std::string instructions_for(const Config& config, const Store& store, const fs::path& library) {
  try {
    return watch_instructions(config, store, library);
  } catch (const std::system_error& error) {
    complain(fmt::format("the program runs, and nothing of it is recorded: {}", error.what()));
    return {};
  }
}

/// What the libraries in the program are told.
void set_environment(const RunStoreFile* file, const Config& config, const Store& store, bool throws) {
  const fs::path library = library_path();
  set_variable("CODE_WAKE_WATCH", instructions_for(config, store, throws ? library : fs::path()));
  set_variable("CODE_WAKE_RUN", throws ? "throws" : "crashes");
  set_variable("CODE_WAKE_STORE_ADAPTER", queueing_adapter(config));
  if (file == nullptr) return;
  unsetenv("CODE_WAKE_STORE_CONFIG");  // it would count more
  set_variable("CODE_WAKE_STORE_CONFIG_FILE", file->path().string());
}

void preload_watch_library() {
  const char* const before = secure_getenv("LD_PRELOAD");
  const std::string library = watch_library_path(library_path());
  set_variable("LD_PRELOAD",
               before == nullptr || *before == '\0' ? library : fmt::format("{}:{}", library, before));
}

/// Where execvp would find it; empty where it would not.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* const path = secure_getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/bin:/usr/bin" : path;
  while (true) {
    const std::size_t colon = rest.find(':');
    const fs::path candidate = fs::path(rest.substr(0, colon)) / name;
    if (access(candidate.c_str(), X_OK) == 0 && fs::is_regular_file(candidate)) return candidate.string();
    if (colon == std::string_view::npos) return {};
    rest.remove_prefix(colon + 1);
  }
}

/// Says what cannot be recorded of it.
void tell_of_limits(const std::string& path, const ProgramCheck& check, bool throws) {
  if (!check.problem.empty()) {
    complain(fmt::format("{} {}: it runs, and nothing of it is recorded", path, check.problem));
  } else if (throws && check.has_other_runtime) {
    complain(fmt::format(
        "{} uses libc++: its crashes are recorded, and of its exceptions those that no handler catches",
        path));
  }
}

/// The program, and the signals that are meant for it.
class Child {
 public:
  /// Starts it in this process's place as far as the terminal and the signals go.
  explicit Child(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    sigfillset(&signals_);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
      sigdelset(&signals_, fault);
    sigset_t before;
    sigprocmask(SIG_BLOCK, &signals_, &before);
    const auto on_child = ::signal(SIGCHLD, SIG_DFL);  // ignored, it would never be told of
    pid_ = fork();
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ != 0) return;
    for (const int ours : {SIGPIPE, SIGXFSZ}) signal(ours, SIG_DFL);  // they are ignored here alone
    signal(SIGCHLD, on_child);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    execvp(arguments[0], arguments.data());
    const int error = errno;
    complain(fmt::format("{}: {}", words[0], std::strerror(error)));
    _exit(error == ENOENT ? kNotFound : kNotExecutable);
  }

  /// Until it has ended; the result is its status as of waitpid.
  int wait() {
    while (true) {
      siginfo_t info{};
      const int signal = sigwaitinfo(&signals_, &info);
      if (signal == SIGCHLD) {
        int status = 0;
        while (waitpid(pid_, &status, WNOHANG | WUNTRACED) == pid_) {
          if (!WIFSTOPPED(status)) return status;
          // By the terminal; who stops the program alone lets it go on alone.
          if (WSTOPSIG(status) != SIGSTOP) stop_with_it();
        }
      } else if (signal > 0 && info.si_code != SI_KERNEL) {
        kill(pid_, signal);  // what comes from the terminal comes to both
      }
    }
  }

 private:
  void stop_with_it() const {
    kill(getpid(), SIGSTOP);
    kill(pid_, SIGCONT);
  }

  sigset_t signals_{};
  pid_t pid_ = 0;
};

/// Ends as the program did, without a core of our own.
[[noreturn]] void die_of(int signal) {
  const rlimit none{};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  ::signal(signal, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  raise(signal);
  _exit(128 + signal);
}

/// The crash that a process of this pid died of, if it is one of the last ones.
std::string event_of(Store& store, std::int64_t pid) {
  const EventPage page = store.get_events({.where = {{"event", "codewake.crash"}}, .limit = 50});
  for (const EventRecord& event : page.events) {
    const std::optional<ProcessRecord> process = store.get_process_by_id(event.process_id);
    if (process && process->pid == pid) return std::to_string(event.id);
  }
  return "ID";
}

/// Stores what the program and its children have left since then, and says where their crashes are to be
/// seen.
void tell_of_crashes(Store& store, const Config& config, Time since) {
  RecoveryOptions recovery{.parameters = config.store.parameters};
  if (config.queue.journal) recovery.journal_folder = *config.queue.journal;
  for (const JournalRun& run : recover_journals(store, recovery)) {
    if (run.started < since || run.state == JournalRun::State::alive) continue;
    if (run.state == JournalRun::State::incomplete) {
      complain(fmt::format("the journal {}: {}", run.run, run.problem));
    } else if (run.state != JournalRun::State::recovered) {
      complain(fmt::format("the journal {} is {}{}; 'codewake recover' stores it later", run.run,
                           to_string(run.state), run.problem.empty() ? "" : ": " + run.problem));
    }
    if (run.crash.empty()) continue;
    complain(fmt::format("{} died of {}; 'codewake event {}' shows where", run.executable, run.crash,
                         event_of(store, run.pid)));
  }
}

int run_program(Session& session, const RunOptions& options) {
  const Config config = load_config(session.options);
  const std::shared_ptr<Store> store = open_store(session.options);
  std::optional<RunStoreFile> file;
  if (!session.options.store.empty()) file.emplace(session.options.store);
  set_environment(file ? &*file : nullptr, config, *store, options.throws);
  const std::string path = find_program(options.words.front());
  const ProgramCheck check = path.empty() ? ProgramCheck() : check_program(path);
  tell_of_limits(path, check, options.throws);
  if (check.can_preload) preload_watch_library();
  const bool keeps_nothing = config.queue.journal == "memory";
  if (keeps_nothing) complain("queue.journal is memory: crashes are not recorded");
  const Time start = now();
  Child child(options.words);
  const int status = child.wait();
  try {
    if (!keeps_nothing) tell_of_crashes(*store, config, start);
  } catch (const std::exception& error) {
    complain(fmt::format("what the program left is not stored yet, 'codewake recover' does it later: {}",
                         error.what()));
  }
  file.reset();
  if (WIFSIGNALED(status)) die_of(WTERMSIG(status));
  return WEXITSTATUS(status);
}

}  // namespace

void add_run_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<RunOptions>();
  CLI::App* const command = add_command(
      app, "run",
      "Run a program that knows nothing of this, and record what it crashes of, and with --throws "
      "every exception",
      {"codewake run -- ./server --port 8080", "codewake run --throws -- ./tool input.txt"});
  command->add_option("program", options->words, "What to run, behind --, so that its options are not ours")
      ->option_text("ARGS…")
      ->required();
  command->add_flag("--throws", options->throws, "Record every exception that is thrown, caught or not");
  add_store_options(command, session);
  on_run(command, session, options, run_program);
}

}  // namespace codewake::cli
