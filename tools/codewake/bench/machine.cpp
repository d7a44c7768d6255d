#include "bench/machine.hpp"

#include <sys/utsname.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "codewake/errors.hpp"

namespace codewake::cli::bench {
namespace {

#ifdef NDEBUG
constexpr bool kAssertions = false;
#else
constexpr bool kAssertions = true;
#endif

constexpr std::string_view kBuildType = CODEWAKE_BENCH_BUILD_TYPE;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitizer = true;
#elif defined(__has_feature)
constexpr bool kSanitizer = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitizer = false;
#endif

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";  // some architectures do not say
}

}  // namespace

Machine this_machine() {
  Machine machine{.cpu = cpu_model(), .cores = std::thread::hardware_concurrency(), .kernel = "unknown"};
  utsname names{};
  if (::uname(&names) == 0) machine.kernel = std::string(names.sysname) + " " + names.release;
  if (::getloadavg(&machine.load, 1) != 1) machine.load = 0;
  return machine;
}

bool is_busy(const Machine& machine) noexcept {
  return machine.load > 0.5 * machine.cores;
}

std::string build_in_words() {
  std::string words(kBuildType);
  if (kAssertions) words += ", with assertions";
  if (kSanitizer) words += ", with a sanitizer";
  return words;
}

bool is_release_build() noexcept {
  return kBuildType == "release" && !kAssertions && !kSanitizer;
}

bool is_sanitized() noexcept {
  return kSanitizer;
}

double resident_mib() {
  constexpr std::string_view kLine = "VmRSS:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(kLine)) continue;
    const std::size_t digits = line.find_first_of("0123456789");
    std::uint64_t kib = 0;
    if (digits == std::string::npos) break;
    std::from_chars(line.data() + digits, line.data() + line.size(), kib);
    return static_cast<double>(kib) / 1024;
  }
  throw Error("/proc/self/status does not say how much memory the process takes");
}

}  // namespace codewake::cli::bench
