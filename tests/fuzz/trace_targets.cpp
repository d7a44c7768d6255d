// Targets that read what comes with requests, and trace events from a journal.
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

#include "codewake/trace_context.hpp"
#include "codewake/trace_event.hpp"
#include "fuzz/targets.hpp"
#include "journal/event_codec.hpp"
#include "journal/trace_codec.hpp"
#include "tracing/raceway_clock.hpp"

namespace codewake::testing {
namespace {

void require(bool holds, std::string_view what) {
  if (!holds) throw std::logic_error(std::string(what));
}

void check_clock(std::string_view header, const TraceId& trace) {
  const auto said = internal::parse_raceway_clock({&header, 1}, trace);
  require(said.size() <= VectorClock::kMaxOthers, "a clock has too many components");
  VectorClock clock("own");
  clock.tick();
  clock.merge(said);
  require(clock.steps_of("own") == 1, "a stranger knows more of an execution than itself");
  const std::string again = internal::format_raceway_clock(
      {.trace_id = trace, .span_id = {}, .parent_span_id = {}, .service = "s", .instance = "i"}, clock);
  require(again.size() <= internal::kMostSentClockBytes, "a clock is sent that is too long");
  const std::string_view sent = again;
  const auto heard = internal::parse_raceway_clock({&sent, 1}, trace);
  require(!heard.empty() && heard.back().execution == "own", "what is sent is not heard");
}

}  // namespace

void fuzz_headers(std::string_view input) {
  std::array<std::string_view, 3> lines{};
  for (std::string_view& line : lines) {
    const std::size_t end = input.find('\n');
    line = input.substr(0, end);
    input = end == input.npos ? std::string_view() : input.substr(end + 1);
  }
  check_clock(lines[2], *parse_trace_id("11111111-2222-3333-4444-555555555555"));
  const auto context = parse_trace_context({&lines[0], 1}, {&lines[1], 1});
  if (!context) return;
  require(!context->trace_id.empty() && !context->span_id.empty(), "an id of zeros is taken");
  require(context->state.size() <= 32, "a tracestate has too many entries");
  const std::string parent = format_traceparent(*context);
  const std::string state = format_tracestate(*context);
  require(state.size() <= 512, "a tracestate is sent that is too long");
  const std::string_view parent_view = parent, state_view = state;
  const auto again = parse_trace_context({&parent_view, 1}, {&state_view, 1});
  require(again && format_traceparent(*again) == parent && format_tracestate(*again) == state,
          "what is sent does not come back");
}

void fuzz_trace_events(std::string_view input) {
  const auto event = internal::decode_trace_event(std::span(input.data(), input.size()));
  if (!event) return;
  require(!to_string(event->kind).empty(), "a kind without a name");
  require(!event->access || !to_string(*event->access).empty(), "an access without a name");
  TraceEventTexts<std::string_view>::for_each(event->texts, [&](std::string_view text) {
    require(text.empty() ||
                (text.data() >= input.data() && text.data() + text.size() <= input.data() + input.size()),
            "a text lies outside of the payload");
  });
  std::string encoded(internal::encoded_size(*event), '\0');
  require(internal::encode_event(*event, encoded.data(), encoded.data() + encoded.size()) ==
              encoded.data() + encoded.size(),
          "an event is not as long as it said");
  const auto again = internal::decode_trace_event(encoded);
  require(again && static_cast<const TraceEventHead&>(*again) == static_cast<const TraceEventHead&>(*event) &&
              again->texts == event->texts,
          "an event does not come back");
}

}  // namespace codewake::testing
