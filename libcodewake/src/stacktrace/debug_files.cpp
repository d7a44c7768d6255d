#include "stacktrace/debug_files.hpp"

#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "stacktrace/file_trust.hpp"

namespace codewake::internal {
namespace {

std::optional<std::uint32_t> checksum_of(const std::string& path, const FileOwners& owners) {
  const auto file = open_regular(path, ElfFile::kMaxFileBytes);
  if (!file || !owners.allow(*file)) return std::nullopt;
  std::vector<unsigned char> block(64u << 10);
  uLong sum = crc32(0, nullptr, 0);
  for (;;) {
    const ssize_t count = read(file->descriptor.number(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;
    if (count == 0) return static_cast<std::uint32_t>(sum);
    sum = crc32(sum, block.data(), static_cast<uInt>(count));
  }
}

std::vector<std::string> folders_for(const std::string& module_path, const std::vector<std::string>& roots) {
  namespace fs = std::filesystem;
  const fs::path as_named = fs::path(module_path).parent_path();
  std::error_code failed;
  const fs::path real = fs::canonical(module_path, failed).parent_path();
  std::vector<std::string> folders;
  const auto add = [&](const fs::path& folder) {
    if (!folder.is_absolute()) return;
    folders.push_back(folder.string());
    folders.push_back((folder / ".debug").string());
    for (const std::string& root : roots)
      folders.push_back((fs::path(root) / folder.relative_path()).string());
  };
  add(as_named);
  if (real != as_named) add(real);
  return folders;
}

}  // namespace

std::unique_ptr<ElfFile> find_by_build_id(const std::string& build_id, const DebugFilePlaces& places) {
  if (build_id.size() < 4 || build_id.find_first_not_of("0123456789abcdef") != std::string::npos) return {};
  for (const std::string& root : places.roots) {
    auto file = ElfFile::open(
        root + "/.build-id/" + build_id.substr(0, 2) + "/" + build_id.substr(2) + ".debug", places.owners);
    if (file != nullptr && file->build_id() == build_id) return file;
  }
  return {};
}

std::unique_ptr<ElfFile> find_by_debug_link(const ElfFile& module, const std::string& module_path,
                                            const DebugFilePlaces& places) {
  const std::optional<DebugLink> link = module.debug_link();
  if (!link || link->name.empty() || link->name.find('/') != std::string::npos) return {};
  const std::string wanted = module.build_id();
  for (const std::string& folder : folders_for(module_path, places.roots)) {
    const std::string path = folder + "/" + link->name;
    auto file = ElfFile::open(path, places.owners);
    if (file == nullptr || file->is_same_file(module)) continue;
    const std::string found = file->build_id();
    if (wanted.empty() || found.empty() ? checksum_of(path, places.owners) == link->crc32 : found == wanted)
      return file;
  }
  return {};
}

std::unique_ptr<ElfFile> find_alternative(const ElfFile& debug_file, const DebugFilePlaces& places) {
  const std::optional<AltLink>& link = debug_file.alt_link();
  if (!link || link->build_id.empty()) return {};
  if (auto file = find_by_build_id(link->build_id, places)) return file;
  const std::filesystem::path path = std::filesystem::path(debug_file.path()).parent_path() / link->name;
  auto file = ElfFile::open(path.string(), places.owners);
  return file != nullptr && file->build_id() == link->build_id ? std::move(file) : nullptr;
}

}  // namespace codewake::internal
