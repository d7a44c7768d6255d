#include "answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "codewake/config.hpp"
#include "codewake/utf8.hpp"

namespace codewake::internal {
namespace {

using Outcome = Verdict::Outcome;

/// Somebody else's words, for a message: on one line, cut where they are long, and without the key, which a
/// server or a proxy may repeat.
std::string quoted(std::string text, const std::string& api_key) {
  constexpr std::size_t kLongest = 200;
  if (!api_key.empty()) {
    for (std::size_t at = 0; (at = text.find(api_key, at)) != std::string::npos; at += 3)
      text.replace(at, api_key.size(), "***");
  }
  const bool is_cut = text.size() > kLongest;
  std::size_t length = std::min(text.size(), kLongest);
  while (is_cut && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  std::string shown = to_storable(std::string_view(text).substr(0, length));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  while (shown.ends_with(' ')) shown.pop_back();
  return is_cut ? shown + "…" : shown;
}

/// What the server says in its envelope `{"success": …, "data": …, "error": …}`; `success` is empty where it
/// has none.
struct Said {
  std::optional<bool> success = std::nullopt;
  std::string data = {};
};

Said read(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  Said said;
  if (!json.is_object()) return said;
  if (const auto success = json.find("success"); success != json.end() && success->is_boolean())
    said.success = success->get<bool>();
  if (const auto data = json.find("data"); data != json.end() && data->is_string())
    said.data = data->get<std::string>();
  return said;
}

/// Of "Ingested N events".
std::optional<std::size_t> ingested(std::string_view data) {
  constexpr std::string_view kBegin = "Ingested ";
  if (!data.starts_with(kBegin)) return std::nullopt;
  data.remove_prefix(kBegin.size());
  std::size_t number = 0;
  const auto result = std::from_chars(data.data(), data.data() + data.size(), number);
  return result.ec == std::errc() ? std::optional(number) : std::nullopt;
}

/// What to do about it, in words; empty where the server's own words must do.
std::string_view remedy(long status) {
  switch (status) {
    case 401:
    case 403:
      return "the API key is missing or not one of the server's: set api_key=…";
    case 404:
    case 405:
      return "there is no Raceway server at this address: see the URL";
    case 407:
      return "the proxy wants to know who asks: see http_proxy and https_proxy";
    case 429:
      return "more requests than the server allows in the time";
    default:
      return {};
  }
}

Outcome outcome_of(long status) {
  switch (status) {
    case 400:
    case 415:
    case 422:
      return Outcome::refused;
    case 413:
      return Outcome::too_large;
    default:
      return Outcome::unavailable;
  }
}

/// Of a status that means success, where it comes from a Raceway server.
Verdict judge_success(const HttpAnswer& answer, std::size_t events, const RacewayParameters& parameters) {
  const Said said = read(answer.body);
  const std::string words = quoted(answer.body, parameters.api_key);
  if (said.success != true) {
    return {.message = fmt::format("Raceway server {}: it answered {}, but not as a Raceway server does, so "
                                   "that nothing is known to be stored: {}",
                                   parameters.display, answer.status, words)};
  }
  if (answer.status == 206 || ingested(said.data).value_or(events) < events) {
    return {.message = fmt::format("Raceway server {}: it has dropped some of {} events, and they are sent "
                                   "again: {}",
                                   parameters.display, events, words)};
  }
  return {.outcome = Outcome::stored};
}

}  // namespace

Verdict judge(const HttpAnswer& answer, std::size_t events, const RacewayParameters& parameters) {
  if (answer.status == 0) {
    return {.message = fmt::format("Raceway server {}: {}", parameters.display,
                                   quoted(answer.failure, parameters.api_key))};
  }
  if (answer.status >= 200 && answer.status < 300) return judge_success(answer, events, parameters);
  std::string message = fmt::format("Raceway server {}: it answered {}", parameters.display, answer.status);
  const auto add = [&](std::string_view text) {
    if (!text.empty()) fmt::format_to(std::back_inserter(message), "; {}", text);
  };
  if (!answer.redirect.empty()) {
    add(fmt::format("it has moved to {}, where nothing is sent by itself: see the URL",
                    quoted(masked(answer.redirect), parameters.api_key)));
  }
  add(remedy(answer.status));
  add(quoted(answer.body, parameters.api_key));
  const Outcome outcome = outcome_of(answer.status);
  return {.outcome = outcome,
          .message = std::move(message),
          .pause = outcome == Outcome::unavailable ? std::min(answer.retry_after, kLongestPause)
                                                   : std::chrono::seconds(0),
          .is_rate_limit = answer.status == 429};
}

}  // namespace codewake::internal
