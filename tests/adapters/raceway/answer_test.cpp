// What becomes of a request, by what the server answered.
#include "raceway/answer.hpp"

#include <doctest/doctest.h>

#include <string>

#include "adapters/writing.hpp"

namespace codewake::testing {
namespace {

using internal::HttpAnswer;
using internal::judge;
using internal::Verdict;
using Outcome = Verdict::Outcome;
using namespace std::chrono_literals;

internal::RacewayParameters parameters() {
  internal::RacewayParameters made;
  made.display = "http://raceway.example";
  made.api_key = "key-of-mine";
  return made;
}

Verdict verdict(const HttpAnswer& answer, std::size_t events = 3) {
  const auto made = parameters();
  Verdict result = judge(answer, events, made);
  if (result.outcome != Outcome::stored)
    CHECK(contains(result.message, "Raceway server http://raceway.example: "));
  CHECK_FALSE(contains(result.message, "key-of-mine"));
  return result;
}

TEST_CASE("Only a Raceway server's own word counts as stored") {
  const auto of = [](long status, const char* body) {
    return verdict({.status = status, .body = body}).outcome;
  };
  CHECK(of(200, R"({"success": true, "data": "Ingested 3 events", "error": null})") == Outcome::stored);
  CHECK(of(200, R"({"success": true, "data": "ok", "error": null})") == Outcome::stored);
  CHECK(of(201, R"({"success": true, "data": null})") == Outcome::stored);
  for (const char* body : {R"({"success": true, "data": "Ingested 2 events"})",
                           R"({"success": false, "data": null, "error": "no"})", "<html>welcome</html>", "",
                           "[]", R"({"success": "true"})", "{"}) {
    CHECK_MESSAGE(of(200, body) == Outcome::unavailable, body);
  }
  CHECK(of(206, R"({"success": true, "data": "Ingested 3 events, 0 errors"})") == Outcome::unavailable);
  CHECK(of(204, "") == Outcome::unavailable);
}

TEST_CASE("Each status has its outcome") {
  for (const long status : {400L, 415L, 422L}) CHECK(verdict({.status = status}).outcome == Outcome::refused);
  CHECK(verdict({.status = 413}).outcome == Outcome::too_large);
  for (const long status :
       {100L, 301L, 308L, 401L, 403L, 404L, 405L, 407L, 408L, 429L, 500L, 502L, 503L, 504L, 999L})
    CHECK(verdict({.status = status}).outcome == Outcome::unavailable);
  CHECK(verdict({.failure = "Connection refused"}).outcome == Outcome::unavailable);
}

TEST_CASE("A message says what to do") {
  CHECK(contains(verdict({.status = 401}).message, "api_key"));
  CHECK(contains(verdict({.status = 403}).message, "api_key"));
  CHECK(contains(verdict({.status = 404}).message, "no Raceway server"));
  CHECK(contains(verdict({.status = 308, .redirect = "https://elsewhere.example/events"}).message,
                 "https://elsewhere.example/events"));
  CHECK_FALSE(contains(verdict({.status = 308, .redirect = "https://u:hidden@elsewhere.example/"}).message,
                       "hidden"));
}

TEST_CASE("The server's words are cut, on one line, and without the key") {
  const std::string long_body(100'000, 'x');
  CHECK(verdict({.status = 500, .body = long_body}).message.size() < 400);
  const std::string odd =
      verdict({.status = 422, .body = "a\nb\x1b[31m\xff" + std::string("\0", 1) + "key-of-mine"}).message;
  CHECK(odd.find('\n') == std::string::npos);
  CHECK(odd.find('\x1b') == std::string::npos);
  CHECK(contains(odd, "***"));
}

TEST_CASE("How long a server is left alone is what it says, and bounded") {
  CHECK(verdict({.status = 429, .retry_after = 7s}).pause == 7s);
  CHECK(verdict({.status = 503, .retry_after = 7s}).pause == 7s);
  CHECK(verdict({.status = 503, .retry_after = 100h}).pause == internal::kLongestPause);
  CHECK(verdict({.status = 422, .retry_after = 7s}).pause == 0s);
  CHECK(verdict({.status = 429}).is_rate_limit);
  CHECK_FALSE(verdict({.status = 503}).is_rate_limit);
}

}  // namespace
}  // namespace codewake::testing
