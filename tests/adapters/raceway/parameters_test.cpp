// What RacewayStore takes as parameters.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "adapters/writing.hpp"
#include "codewake/config.hpp"
#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"
#include "codewake/raceway_store.hpp"

namespace codewake::testing {
namespace {

std::string refusal(const std::vector<std::string>& parameters) {
  try {
    const RacewayStore store(parameters);
  } catch (const ConfigError& error) {
    CHECK(error.place().key == "store.config");
    return error.what();
  }
  return "";
}

std::string identity(const std::string& url) {
  return RacewayStore(url).identity();
}

TEST_CASE("A Raceway server's URL names the storage however it is written") {
  CHECK(identity("http://localhost:8080") == "raceway+http://localhost:8080");
  CHECK(identity("http://LocalHost:8080/") == "raceway+http://localhost:8080");
  CHECK(identity("http://localhost:8080/events") == "raceway+http://localhost:8080");
  CHECK(identity("http://localhost:80") == "raceway+http://localhost");
  CHECK(identity("https://trace.example:443/raceway/") == "raceway+https://trace.example/raceway");
  CHECK(identity("http://[::1]:8080") == "raceway+http://[::1]:8080");
  CHECK(identity("http://localhost:8080?api_key=secret") == "raceway+http://localhost:8080");
}

TEST_CASE("Parameters that make sense are taken, at both ends of their ranges") {
  for (const char* parameter :
       {"api_key=k-1_2.3", "api_key=", "timeout=10s", "timeout=1ms", "timeout=60m", "connect_timeout=0.5",
        "ca_file=/etc/ssl/own.pem", "body_limit=4KiB", "body_limit=1GiB", "body_limit=2000000",
        "compression=auto", "compression=off"}) {
    CHECK(refusal({"http://localhost:8080", parameter}) == "");
  }
}

TEST_CASE("Parameters that make no sense are a ConfigError that says what to write") {
  CHECK(contains(refusal({}), "no Raceway server is named"));
  for (const char* url : {"localhost:8080", "ftp://localhost", "sqlite:///file", "http://",
                          "http://one:1,two:2/", "http://localhost/a b", "http://localhost/#here", ""}) {
    CHECK_MESSAGE(refusal({url}) != "", url);
  }
  for (const char* parameter :
       {"timeout=0", "timeout=61m", "timeout=-1s", "timeout=ten", "timeout=nan", "connect_timeout=1h",
        "ca_file=", "body_limit=4095", "body_limit=2GiB", "body_limit=2MB", "compression=gzip"}) {
    CHECK_MESSAGE(contains(refusal({"http://localhost", parameter}), "write"), parameter);
  }
  const std::string unknown = refusal({"http://localhost", "batch=7"});
  CHECK(contains(unknown, "\"batch\" is unknown"));
  for (const char* known : {"api_key", "timeout", "connect_timeout", "ca_file", "body_limit", "compression"})
    CHECK(contains(unknown, known));
  CHECK(contains(refusal({"http://localhost?batch=7"}), "\"batch\" is unknown"));
}

TEST_CASE("What may be secret is in no message about parameters") {
  for (const auto& parameters :
       std::vector<std::vector<std::string>>{{"http://localhost", "api_key=top secret"},
                                             {"http://localhost", "api_key=top\r\nsecret: 1"},
                                             {"http://localhost", "api_key=k", "secret"},
                                             {"http://user:secret@localhost"},
                                             {"ftp://localhost?api_key=secret"},
                                             {"http://localhost/a b?api_key=secret"}}) {
    const std::string said = refusal(parameters);
    CHECK(said != "");
    CHECK_MESSAGE(!contains(said, "secret"), said);
  }
}

TEST_CASE("The plugin has both classes") {
  const auto load = [](const char* name, const char* url) {
    return load_store("code_wake_raceway_store", name, {url}, Config::load().plugin_path);
  };
  setenv("CODE_WAKE_QUEUE_JOURNAL", "memory", 1);
  CHECK(load("RacewayStore", "http://localhost:8080")->stores_trace_events());
  CHECK(load("RacewayQueueStore", "http://localhost:8080")->queues());
  unsetenv("CODE_WAKE_QUEUE_JOURNAL");
  CHECK_THROWS_AS(load("RacewayStore", "localhost"), PluginError);
}

}  // namespace
}  // namespace codewake::testing
