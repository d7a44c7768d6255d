// What a server answers to a request of the program is bounded.
#include <doctest/doctest.h>

#include <string>

#include "adapters/raceway/collector.hpp"
#include "adapters/raceway/server.hpp"
#include "adapters/writing.hpp"
#include "codewake/errors.hpp"
#include "codewake/raceway.hpp"

namespace codewake::testing {
namespace {

struct Fixture : CollectorFixture {
  raceway::Client client{{.endpoint = collector.url(), .flush_interval = 0.01}};

  /// The body, or the message of the Error.
  std::string get(const std::string& path, std::size_t most_bytes) {
    try {
      return client.request("GET", collector.url() + path, {.most_bytes = most_bytes}).body;
    } catch (const Error& error) {
      return error.what();
    }
  }
};

TEST_CASE("A body that is larger than most_bytes ends in an Error, one of that size is read") {
  Fixture fixture;
  constexpr std::size_t kSize = 100'000;
  const std::string body(kSize, 'x');
  fixture.collector.answer("/body", HttpReply{.body = body});
  fixture.collector.answer("/small", HttpReply{.body = "small"});
  fixture.collector.answer(
      "/moved",
      HttpReply{.status = 302, .body = body, .headers = {{"Location", fixture.collector.url() + "/small"}}});
  CHECK(fixture.get("/body", kSize) == body);
  CHECK(contains(fixture.get("/body", kSize - 1), "/body: its body is larger than most_bytes"));
  CHECK(fixture.get("/moved", kSize) == "small");
  CHECK(contains(fixture.get("/moved", kSize - 1), "/moved: its body is larger than most_bytes"));
}

TEST_CASE("An answer with endless headers ends in an Error") {
  Fixture fixture;
  HttpReply reply;
  for (int i = 0; i < 100; ++i)
    reply.headers.emplace_back("X-" + std::to_string(i), std::string(10'000, 'x'));
  fixture.collector.answer("/headers", reply);
  CHECK(contains(fixture.get("/headers", 0), "header"));
}

}  // namespace
}  // namespace codewake::testing
