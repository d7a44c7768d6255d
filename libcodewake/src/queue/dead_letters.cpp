#include "queue/dead_letters.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "codewake/utf8.hpp"
#include "journal/file_io.hpp"
#include "store/flattened.hpp"

namespace codewake::internal {
namespace {

using Json = nlohmann::ordered_json;

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

std::error_code append_line(const std::filesystem::path& file, const std::string& line) {
  const int fd = open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return {errno, std::generic_category()};
  // One write: a line of one program does not stand inside of another's.
  const ssize_t written = write(fd, line.data(), line.size());
  const int error = written == static_cast<ssize_t>(line.size()) ? 0 : (written < 0 ? errno : ENOSPC);
  close(fd);
  return {error, std::generic_category()};
}

}  // namespace

DeadLetters::DeadLetters(std::filesystem::path journal_folder, std::string run) {
  if (!journal_folder.empty()) file_ = std::move(journal_folder) / "dead" / (std::move(run) + ".ndjson");
}

void DeadLetters::set_aside(const BatchBuilder& builder, const BatchBuilder::Item& item,
                            const std::string& reason) {
  std::string outcome = "it is only counted";
  if (!file_.empty() && written_bytes_ < kMostBytes) {
    mkdir(file_.parent_path().c_str(), 0700);  // whether it is there now, opening the file tells
    const std::string line = line_of(builder, item, reason);
    const std::error_code error = append_line(file_, line);
    written_bytes_ += line.size();
    outcome = error ? fmt::format("it could not be written to {}: {}", file_.string(), error.message())
                    : "it is in " + file_.string();
  }
  if (std::exchange(said_, true)) return;
  std::fprintf(
      stderr, "codewake: the store refuses an event (more of this is counted in stats(), not said): %s; %s\n",
      reason.c_str(), outcome.c_str());
}

}  // namespace codewake::internal
