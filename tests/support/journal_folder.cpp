#include "support/journal_folder.hpp"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <array>
#include <system_error>

namespace codewake::testing {
namespace {

// One folder for each user and journal folder.
std::filesystem::path front_root_of(const std::filesystem::path& journal) {
  const std::string path = std::filesystem::weakly_canonical(journal).string();
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(path.data()), path.size(), digest.data());
  std::string suffix;
  for (std::size_t i = 0; i < 6; ++i) suffix += fmt::format("{:02x}", digest[i]);
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
