#include "queue/dead_letters.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/file_size_signal.hpp"
#include "base/folder.hpp"
#include "base/json_text.hpp"
#include "codewake/visible.hpp"
#include "store/flattened.hpp"

namespace codewake::internal {
namespace {

constexpr const char* kFolder = "dead";

void append_pair(std::string& json, std::string_view key, std::optional<std::string_view> value) {
  json += '[';
  append_json_string(json, key);
  json += ',';
  if (value) {
    append_json_string(json, *value);
  } else {
    json += "null";
  }
  json += "],";
}

// Not by the JSON library, whose objects cannot be destroyed without memory.
std::string line_of(const BatchBuilder& builder, const BatchBuilder::Item& item, const std::string& reason) {
  std::string json = R"({"reason":)";
  append_json_string(json, reason);
  json += fmt::format(R"(,"when":"{}","process_id":{},"data":[)", format_time(item.when),
                      item.process_id ? std::to_string(*item.process_id) : "null");
  for (const AttributeView& attribute : builder.data_of(item)) {
    append_pair(json, attribute.key, attribute.value);
  }
  if (item.is_trace_event) {
    for (const Attribute& attribute : flattened(builder.trace_event_of(item))) {
      append_pair(json, attribute.key, *attribute.value);
    }
  }
  if (json.back() == ',') json.pop_back();
  return json + "]}\n";
}

std::error_code append_line(const Folder& folder, const std::string& name, const std::string& line) {
  const FileDescriptor file = folder.open_file(name, O_WRONLY | O_APPEND | O_CREAT);
  if (file.number() < 0) return {errno, std::generic_category()};
  const NoFileSizeSignal guard;
  // One write: a line of one program does not stand inside of another's.
  const ssize_t written = write(file.number(), line.data(), line.size());
  const int error = written == static_cast<ssize_t>(line.size()) ? 0 : (written < 0 ? errno : ENOSPC);
  return {error, std::generic_category()};
}

}  // namespace

DeadLetters::DeadLetters(std::filesystem::path journal_folder, std::string run)
    : folder_(std::move(journal_folder)), name_(std::move(run) + ".ndjson") {}

std::string DeadLetters::keep(const std::string& line) {
  if (folder_.empty() || written_bytes_ >= kMostBytes) return "it is only counted";
  const std::string file = (folder_ / kFolder / name_).string();
  std::string good = "it is in " + file;  // nothing that may throw comes after the line was written
  std::error_code error;
  try {
    error = append_line(Folder::open(folder_).make_own(kFolder), name_, line);
    written_bytes_ += line.size();
  } catch (const std::system_error& failed) {
    error = failed.code();
  }
  return error ? fmt::format("it could not be written to {}: {}", file, error.message()) : good;
}

void DeadLetters::set_aside(const BatchBuilder& builder, const BatchBuilder::Item& item,
                            const std::string& reason) {
  const std::string outcome = keep(line_of(builder, item, reason));
  if (std::exchange(said_, true)) return;
  say_on_stderr(
      {"the store refuses an event (more of this is counted in stats(), not said): ", reason, "; ", outcome});
}

}  // namespace codewake::internal
