#include "stacktrace/source_files.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace codewake::internal {
namespace {

std::vector<std::uint32_t> lines_of(std::string_view content) {
  std::vector<std::uint32_t> begins;
  for (std::size_t begin = 0; begin < content.size();) {
    begins.push_back(static_cast<std::uint32_t>(begin));
    const std::size_t end = content.find('\n', begin);
    begin = end == std::string_view::npos ? content.size() : end + 1;
  }
  return begins;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

std::string_view shortened(std::string_view text) {
  if (text.size() <= SourceFiles::kMaxLineBytes) return text;
  const auto continues = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  std::size_t end = SourceFiles::kMaxLineBytes;
  while (end > SourceFiles::kMaxLineBytes - 4 && continues(end)) --end;
  return text.substr(0, end);
}

bool is_file(const std::filesystem::path& path) {
  std::error_code failed;  // what may not be looked at holds no source for us
  return std::filesystem::is_regular_file(path, failed);
}

// Compilers write the folder that they were run in before a relative path: /build/../source/a.cpp. A folder
// that is a link may mean another file then.
std::string without_detours(const std::filesystem::path& path) {
  std::filesystem::path straight = path.lexically_normal();
  if (straight == path || (!is_file(straight) && is_file(path))) return path.string();
  return straight.string();
}

}  // namespace

std::string locate_source(const std::string& path, const std::string& module) {
  const std::filesystem::path recorded(path);
  if (recorded.is_absolute()) return without_detours(recorded);
  for (std::filesystem::path folder = std::filesystem::path(module).parent_path(); folder.is_absolute();
       folder = folder.parent_path()) {
    const std::filesystem::path candidate = (folder / recorded).lexically_normal();
    if (is_file(candidate)) return candidate.string();
    if (!folder.has_relative_path()) break;  // the root
  }
  return path;
}

std::string recorded_source(const std::string& path) {
  const std::filesystem::path recorded(path);
  return recorded.is_absolute() ? recorded.lexically_normal().string() : path;
}

std::string SourceFiles::read(const std::string& path) const {
  const std::optional<OpenFile> opened = open_(path, kMaxBytes);
  if (!opened) return {};
  std::string content(static_cast<std::size_t>(opened->status.st_size), '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    const ssize_t count = ::read(opened->descriptor.number(), content.data() + size, content.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return {};
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  content.resize(size);
  return content;
}

std::string SourceFiles::line(const std::string& path, std::uint32_t number) {
  const File& source = file(path);
  if (number == 0 || number > source.begins.size()) return {};
  const std::string_view content(source.content);
  const std::size_t begin = source.begins[number - 1];
  const std::size_t end = number < source.begins.size() ? source.begins[number] : content.size();
  return std::string(shortened(trimmed(content.substr(begin, end - begin))));
}

const SourceFiles::File& SourceFiles::file(const std::string& path) {
  const auto known =
      std::find_if(files_.begin(), files_.end(), [&](const File& f) { return f.path == path; });
  if (known != files_.end()) {
    files_.splice(files_.begin(), files_, known);
    return files_.front();
  }
  File file{path, read(path), {}};
  file.begins = lines_of(file.content);
  bytes_ += file.content.size();
  files_.push_front(std::move(file));
  while (files_.size() > kMaxFiles || bytes_ > kMaxBytes) {
    bytes_ -= files_.back().content.size();
    files_.pop_back();
  }
  return files_.front();
}

}  // namespace codewake::internal
