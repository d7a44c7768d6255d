#include "queue/run_about.hpp"

#include <unistd.h>

#include <string>
#include <system_error>

#include "journal/places.hpp"
#include "queue/fingerprint.hpp"

namespace codewake::internal {
namespace {

std::string executable() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

}  // namespace

std::filesystem::path journal_folder(const Config::Queue& options, const QueueTarget& target) {
  if (options.journal == "memory" || target.identity == "memory") return {};
  if (options.journal && !options.journal->empty()) return *options.journal;
  return default_journal_folder();
}

RunAbout about_run(const QueueTarget& target) {
  const Time start = now();
  return {.run = make_run_name(start),
          .fingerprint = fingerprint_of(target),
          .store = display_of(target),
          .executable = executable(),
          .pid = getpid(),
          .started = start};
}

}  // namespace codewake::internal
