#include "queue/dead_letters.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/file_size_signal.hpp"
#include "base/folder.hpp"
#include "codewake/utf8.hpp"
#include "codewake/visible.hpp"
#include "store/flattened.hpp"

namespace codewake::internal {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFolder = "dead";

std::string line_of(const BatchBuilder& builder, const BatchBuilder::Item& item, const std::string& reason) {
  Json json = {{"reason", to_storable(reason)}, {"when", format_time(item.when)}};
  json["process_id"] = item.process_id ? Json(*item.process_id) : Json(nullptr);
  json["data"] = Json::array();
  for (const AttributeView& attribute : builder.data_of(item)) {
    json["data"].push_back({attribute.key, attribute.value ? Json(*attribute.value) : Json(nullptr)});
  }
  if (item.is_trace_event) {
    for (const Attribute& attribute : flattened(builder.trace_event_of(item))) {
      json["data"].push_back({attribute.key, *attribute.value});
    }
  }
  return json.dump() + "\n";
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
  std::error_code error;
  try {
    error = append_line(Folder::open(folder_).make_own(kFolder), name_, line);
    written_bytes_ += line.size();
  } catch (const std::system_error& failed) {
    error = failed.code();
  }
  return error ? fmt::format("it could not be written to {}: {}", file, error.message()) : "it is in " + file;
}

void DeadLetters::set_aside(const BatchBuilder& builder, const BatchBuilder::Item& item,
                            const std::string& reason) {
  const std::string outcome = keep(line_of(builder, item, reason));
  if (std::exchange(said_, true)) return;
  say_on_stderr(
      {"the store refuses an event (more of this is counted in stats(), not said): ", reason, "; ", outcome});
}

}  // namespace codewake::internal
