#include "support/journal_folder.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <openssl/sha.h>
#include <sys/statfs.h>

#include <array>
#include <system_error>

namespace codewake::testing {
namespace {

bool is_memory(const char* folder) {
  struct statfs system {};
  return statfs(folder, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

// One folder for each user and journal folder.
std::filesystem::path front_root_of(const std::filesystem::path& journal) {
  const std::string path = std::filesystem::weakly_canonical(journal).string();
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(path.data()), path.size(), digest.data());
  std::string suffix;
  for (std::size_t i = 0; i < 6; ++i) suffix += fmt::format("{:02x}", digest[i]);
  const std::string own = geteuid() == 0 ? "/run" : fmt::format("/run/user/{}", geteuid());
  if (is_memory(own.c_str())) return fmt::format("{}/code_wake/{}", own, suffix);
  return fmt::format("/dev/shm/code_wake-{}-{}", geteuid(), suffix);
}

}  // namespace

JournalFolder::JournalFolder(const std::filesystem::path& name)
    : path_(folder_.path() / name), front_root_(front_root_of(path_)) {}

JournalFolder::~JournalFolder() {
  if (getpid() != owner_pid_) return;
  std::error_code ignored;
  std::filesystem::remove_all(front_root_, ignored);
}

std::vector<std::filesystem::path> JournalFolder::runs() const {
  std::vector<std::filesystem::path> found;
  for (const auto& root : {path_, front_root_}) {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(root, error), end; !error && entry != end;
         entry.increment(error)) {
      if (entry->path().filename() != "dead") found.push_back(entry->path());
    }
  }
  return found;
}

std::vector<std::filesystem::path> JournalFolder::files() const {
  std::vector<std::filesystem::path> found;
  for (const auto& run : runs()) {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(run, error), end; !error && entry != end;
         entry.increment(error)) {
      found.push_back(entry->path());
    }
  }
  return found;
}

}  // namespace codewake::testing
