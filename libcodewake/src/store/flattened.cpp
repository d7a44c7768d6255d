#include "store/flattened.hpp"

#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

namespace codewake::internal {
namespace {

// In the order of TraceEventTexts.
constexpr std::array<const char*, kTraceEventTexts> kKeys = {
    "trace.service", "trace.instance", "trace.environment", "trace.execution", "trace.thread",
    "trace.name",    "trace.file",     "trace.data",        "trace.clock",     "trace.locks"};

}  // namespace

std::vector<Attribute> flattened(const TraceTie& tie) {
  return {{"trace.id", to_hex(tie.trace_id)}, {"trace.span_id", to_hex(tie.span_id)}};
}

std::vector<Attribute> flattened(const BatchTraceEvent& event) {
  std::vector<Attribute> data = {{"trace.event", std::string(to_string(event.kind))}};
  for (Attribute& tie : flattened(TraceTie{event.trace_id, event.span_id})) data.push_back(std::move(tie));
  data.emplace_back("trace.event_id", to_uuid(event.id));
  if (!event.parent_id.empty()) data.emplace_back("trace.parent_id", to_uuid(event.parent_id));
  if (!event.upstream_span_id.empty())
    data.emplace_back("trace.upstream_span_id", to_hex(event.upstream_span_id));
  if (event.access) data.emplace_back("trace.access", std::string(to_string(*event.access)));
  if (event.duration) data.emplace_back("trace.duration_ns", fmt::format("{}", event.duration->count()));
  data.emplace_back("trace.step", fmt::format("{}", event.step));
  std::size_t number = 0;
  TraceEventTexts<std::string_view>::for_each(event.texts, [&](std::string_view text) {
    const char* const key = kKeys[number++];
    if (!text.empty()) data.emplace_back(key, std::string(text));
  });
  if (event.line != 0) data.emplace_back("trace.line", fmt::format("{}", event.line));
  return data;
}

}  // namespace codewake::internal
