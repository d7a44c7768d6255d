#include "codewake/watching.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "codewake/utf8.hpp"
#include "journal/crash_file.hpp"
#include "journal/places.hpp"
#include "process/identity.hpp"
#include "queue/crash_run.hpp"
#include "watch/instructions.hpp"
#include "watch/program_file.hpp"

namespace codewake {
namespace {

void append_field(std::string& value, std::string_view field) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/";
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : field) {
    const auto byte = static_cast<unsigned char>(c);
    if (kPlain.find(c) != kPlain.npos) {
      value += c;
    } else {
      value += '%';
      value += kDigits[byte >> 4];
      value += kDigits[byte & 15];
    }
  }
}

std::string problem_of(internal::ProgramKind kind) {
  using internal::ProgramKind;
  switch (kind) {
    case ProgramKind::other_processor:
      return "is a program for another processor";
    case ProgramKind::sanitized:
    case ProgramKind::sanitized_static:
      return "runs under a sanitizer, which has handlers of its own";
    case ProgramKind::static_linked:
      return "is linked statically";
    case ProgramKind::other_libc:
      return "uses another C library than glibc";
    case ProgramKind::other_user:
      return "runs as another user or with capabilities of its own";
    case ProgramKind::watchable:
    case ProgramKind::other_runtime:
      break;
  }
  return {};
}

}  // namespace

ProgramCheck check_program(const std::filesystem::path& program) {
  const internal::ProgramKind kind = internal::kind_of_program(program.c_str());
  return {.problem = problem_of(kind),
          .can_preload = !internal::must_run_alone(kind),
          .has_other_runtime = kind == internal::ProgramKind::other_runtime};
}

std::string watch_instructions(const Config& config, const Store& store,
                               const std::filesystem::path& library) {
  if (!config.crashes.signals && !config.crashes.uncaught && library.empty()) return {};
  std::optional<internal::CrashPlan> plan =
      internal::plan_crash_runs(store, config.queue, config.store.parameters);
  if (!plan) plan.emplace();
  const internal::CrashNestParts parts =
      plan->roots.empty() ? internal::CrashNestParts() : internal::crash_nest_parts(plan->about);
  std::string disk;
  std::string memory;
  for (const std::filesystem::path& root : plan->roots) {
    (internal::is_front_root(root) ? memory : disk) = root.string();
  }
  const std::string store_text = nlohmann::json(to_storable(plan->about.store)).dump();
  const std::string app = config.app_name.value_or("");
  const std::string version = config.app_vsn.value_or("");
  const std::string environment = config.environment_name.value_or("");
  const std::string user_id = std::to_string(getuid());
  const std::string user = internal::user_name();
  const std::string host = internal::host_name(std::chrono::milliseconds(500));
  const internal::WatchInstructions instructions{.version = internal::kWatchVersion,
                                                 .signals = config.crashes.signals ? "y" : "",
                                                 .uncaught = config.crashes.uncaught ? "y" : "",
                                                 .library = library.c_str(),
                                                 .disk_root = disk.c_str(),
                                                 .memory_root = memory.c_str(),
                                                 .name_begin = parts.name_begin.c_str(),
                                                 .name_end = parts.name_end.c_str(),
                                                 .fingerprint = parts.fingerprint.c_str(),
                                                 .store = store_text.c_str(),
                                                 .app_name = app.c_str(),
                                                 .app_version = version.c_str(),
                                                 .environment = environment.c_str(),
                                                 .user_id = user_id.c_str(),
                                                 .user = user.c_str(),
                                                 .host = host.c_str()};
  std::string value;
  for (const auto text : internal::kWatchTexts) {
    if (!value.empty()) value += ',';
    append_field(value, instructions.*text);
  }
  return value;
}

}  // namespace codewake
