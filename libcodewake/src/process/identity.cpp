#include "process/identity.hpp"

#include <netdb.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <system_error>
#include <vector>

#include "base/worker_thread.hpp"
#include "watch/instructions.hpp"

namespace codewake::internal {
namespace {

// The canonical name, if it is a qualified one that says more than that this is a host.
std::string canonical_name(const std::string& host) {
  addrinfo hints{};
  hints.ai_flags = AI_CANONNAME;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return host;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  if (found == nullptr || found->ai_canonname == nullptr) return host;
  const std::string name(found->ai_canonname);
  return name.find('.') != std::string::npos && !name.starts_with("localhost") ? name : host;
}

struct Lookup {
  std::mutex mutex;
  std::condition_variable done;
  std::optional<std::string> name;
};

// `codewake run` has looked it up for all that it starts.
std::string told_host_name() {
  const char* const value = secure_getenv(kWatchVariable);
  if (value == nullptr) return {};
  std::vector<char> texts(std::strlen(value) + std::size(kWatchTexts));
  WatchInstructions instructions;
  return read_watch_instructions(value, texts.data(), texts.size(), instructions) ? instructions.host : "";
}

}  // namespace

std::optional<std::string> executable_path() {
  std::error_code error;
  std::string path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return std::nullopt;
  return path;
}

std::string user_name() {
  const uid_t uid = getuid();
  std::vector<char> buffer(1024);
  passwd entry{};
  passwd* found = nullptr;
  while (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == ERANGE)
    buffer.resize(buffer.size() * 2);
  return found == nullptr ? std::to_string(uid) : found->pw_name;
}

std::string host_name(std::chrono::milliseconds timeout) {
  if (std::string told = told_host_name(); !told.empty()) return told;
  std::array<char, 256> buffer{};
  if (gethostname(buffer.data(), buffer.size() - 1) != 0) return "localhost";
  const std::string host(buffer.data());
  if (host.find('.') != std::string::npos) return host;
  const auto lookup = std::make_shared<Lookup>();
  try {
    start_worker("codewake-host", [lookup, host] {
      std::string name = canonical_name(host);
      const std::lock_guard lock(lookup->mutex);
      lookup->name = std::move(name);
      lookup->done.notify_one();
    });
  } catch (const std::system_error&) {
    return host;  // no thread to be had: not worth failing for
  }
  std::unique_lock lock(lookup->mutex);
  lookup->done.wait_for(lock, timeout, [&] { return lookup->name.has_value(); });
  return lookup->name.value_or(host);
}

ProcessInfo identify_process() {
  ProcessInfo info;
  info.pid = getpid();
  info.username = user_name();
  info.fqdn = host_name(std::chrono::milliseconds(500));
  info.exe_path = executable_path();
  return info;
}

}  // namespace codewake::internal
