#include "config/keys.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

namespace codewake::internal {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMiB = 1ull << 20;
constexpr std::uint64_t kEiB = 1ull << 60;

// clang-format off
constexpr Key kKeys[] = {
    {"store.adapter", "CODE_WAKE_STORE_ADAPTER", [](Config& c) -> Setting { return Adapter{&c.store}; }},
    {"store.config", "CODE_WAKE_STORE_CONFIG",
     [](Config& c) -> Setting { return Parameters{&c.store.parameters}; }},
    {"environment.name", "CODE_WAKE_ENVIRONMENT",
     [](Config& c) -> Setting { return Text{&c.environment_name}; }},
    {"app.name", "CODE_WAKE_APP_NAME", [](Config& c) -> Setting { return Text{&c.app_name}; }},
    {"app.vsn", "CODE_WAKE_APP_VSN", [](Config& c) -> Setting { return Text{&c.app_vsn}; }},
    {"stacktraces.include.from_exceptions", "CODE_WAKE_ST_FROM_EXCEPTIONS",
     [](Config& c) -> Setting { return Flag{&c.stacktraces.from_exceptions}; }},
    {"stacktraces.include.for_non_exceptions", "CODE_WAKE_ST_FOR_NON_EXCEPTIONS",
     [](Config& c) -> Setting { return Flag{&c.stacktraces.for_non_exceptions}; }},
    {"stacktraces.max_frames", "CODE_WAKE_ST_MAX_FRAMES",
     [](Config& c) -> Setting { return Count{&c.stacktraces.max_frames, 1, 128}; }},
    {"queue.journal", "CODE_WAKE_QUEUE_JOURNAL", [](Config& c) -> Setting { return Text{&c.queue.journal}; }},
    {"queue.limit", "CODE_WAKE_QUEUE_LIMIT",
     [](Config& c) -> Setting { return Size{&c.queue.limit_bytes, kMiB, kEiB}; }},
    {"queue.when_full", "CODE_WAKE_QUEUE_WHEN_FULL",
     [](Config& c) -> Setting { return Choice<WhenFull>{&c.queue.when_full}; }},
    {"queue.durability", "CODE_WAKE_QUEUE_DURABILITY",
     [](Config& c) -> Setting { return Choice<Durability>{&c.queue.durability}; }},
    {"queue.batch", "CODE_WAKE_QUEUE_BATCH",
     [](Config& c) -> Setting { return Count{&c.queue.batch, 1, 1'000'000}; }},
    {"queue.interval", "CODE_WAKE_QUEUE_INTERVAL",
     [](Config& c) -> Setting { return Duration{&c.queue.interval, 100us, 1h}; }},
    {"queue.exit_timeout", "CODE_WAKE_QUEUE_EXIT_TIMEOUT",
     [](Config& c) -> Setting { return Duration{&c.queue.exit_timeout, 0s, 1h}; }},
    {"crashes.signals", "CODE_WAKE_CRASHES_SIGNALS",
     [](Config& c) -> Setting { return Flag{&c.crashes.signals}; }},
    {"crashes.uncaught", "CODE_WAKE_CRASHES_UNCAUGHT",
     [](Config& c) -> Setting { return Flag{&c.crashes.uncaught}; }},
    {"tracing.endpoint", "CODE_WAKE_TRACING_ENDPOINT",
     [](Config& c) -> Setting { return Text{&c.tracing.endpoint}; }},
    {"tracing.service_name", "CODE_WAKE_TRACING_SERVICE_NAME",
     [](Config& c) -> Setting { return Text{&c.tracing.service_name}; }},
    {"tracing.instance_id", "CODE_WAKE_TRACING_INSTANCE_ID",
     [](Config& c) -> Setting { return Text{&c.tracing.instance_id}; }, "RACEWAY_INSTANCE_ID"},
    {"tracing.environment", "CODE_WAKE_TRACING_ENVIRONMENT",
     [](Config& c) -> Setting { return Text{&c.tracing.environment}; }},
    {"tracing.batch_size", "CODE_WAKE_TRACING_BATCH_SIZE",
     [](Config& c) -> Setting { return Count{&c.tracing.batch_size, 1, 10'000}; }},
    {"tracing.flush_interval", "CODE_WAKE_TRACING_FLUSH_INTERVAL",
     [](Config& c) -> Setting { return Duration{&c.tracing.flush_interval, 1ms, 1h}; }},
    {"tracing.api_key", "CODE_WAKE_TRACING_API_KEY",
     [](Config& c) -> Setting { return Secret{&c.tracing.api_key}; }, "RACEWAY_API_KEY"},
    {"tracing.debug", "CODE_WAKE_TRACING_DEBUG", [](Config& c) -> Setting { return Flag{&c.tracing.debug}; }},
    {"plugins.path", "CODE_WAKE_PLUGIN_PATH", [](Config& c) -> Setting { return Folders{&c.plugin_path}; }},
};
// clang-format on

std::string_view last_part(std::string_view name) {
  return name.substr(name.rfind('.') + 1);
}

bool is_below(std::string_view name, std::string_view section) {
  return name.size() > section.size() && name.starts_with(section) && name[section.size()] == '.';
}

// How many letters must be inserted, left out or changed to make one word of the other.
std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t changed = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

// Every key, and every section inside a section.
std::vector<std::string_view> names_with_sections() {
  std::vector<std::string_view> names;
  for (const Key& key : kKeys) {
    const std::size_t end = key.name.rfind('.');
    const std::string_view section = key.name.substr(0, end);
    if (section.find('.') != std::string_view::npos && std::ranges::find(names, section) == names.end()) {
      names.push_back(section);
    }
    names.push_back(key.name);
  }
  return names;
}

}  // namespace

std::span<const Key> keys() {
  return kKeys;
}

const Key* find_key(std::string_view name) {
  const auto found = std::ranges::find(kKeys, name, &Key::name);
  return found == std::end(kKeys) ? nullptr : &*found;
}

bool is_section(std::string_view name) {
  return std::ranges::any_of(kKeys, [name](const Key& key) { return is_below(key.name, name); });
}

std::string keys_of(std::string_view section) {
  std::vector<std::string_view> parts;
  for (const Key& key : kKeys) {
    if (!is_below(key.name, section)) continue;
    std::string_view part = key.name.substr(section.size() + 1);
    part = part.substr(0, part.find('.'));
    if (std::ranges::find(parts, part) == parts.end()) parts.push_back(part);
  }
  std::string list;
  for (const std::string_view part : parts) list.append(list.empty() ? "" : ", ").append(part);
  return list;
}

std::string_view nearest_key(std::string_view name) {
  constexpr std::size_t longest = 64;  // no key is longer, and the distance takes time in the square of it
  const std::string_view section = name.substr(0, name.find('.') + 1);
  const std::string_view part = last_part(name);
  if (part.size() > longest) return {};
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(1, part.size() / 3) + 1;
  for (const std::string_view candidate : names_with_sections()) {
    if (!candidate.starts_with(section)) continue;
    const std::size_t distance = edit_distance(part, last_part(candidate));
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace codewake::internal
