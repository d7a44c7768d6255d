#include "collector.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "adapters/raceway/contract.hpp"

namespace codewake::testing {

using Json = nlohmann::json;

Variable::Variable(const char* name, const std::string& value) : name_(name) {
  const char* const before = std::getenv(name);
  was_set_ = before != nullptr;
  if (was_set_) before_ = before;
  setenv(name, value.c_str(), 1);
}

Variable::~Variable() {
  if (was_set_) {
    setenv(name_, before_.c_str(), 1);
  } else {
    unsetenv(name_);
  }
}

Collector::Collector() : server_([this](const HttpRequest& request) { return react(request); }) {}

HttpReply Collector::react(const HttpRequest& request) {
  std::function<HttpReply(const HttpRequest&)> answer;
  {
    const std::lock_guard lock(mutex_);
    if (!request.path.ends_with("/events")) {
      requests_.push_back(request);
      const auto found = answers_.find(request.path);
      if (found == answers_.end()) return {.status = 404};
      answer = found->second;
    }
  }
  if (answer) return answer(request);
  HttpRequest direct = request;
  direct.path = "/events";
  const HttpReply reply = take_request(direct);
  CHECK_MESSAGE(reply.status == 200, (reply.body + " " + request.body));
  if (reply.status != 200) return reply;
  const Json body = Json::parse(request.body);
  const std::lock_guard lock(mutex_);
  for (const Json& event : body["events"]) events_.try_emplace(event["id"].get<std::string>(), event);
  authorization_ = request.header("authorization");
  arrived_.notify_all();
  return reply;
}

void Collector::answer(const std::string& where, std::function<HttpReply(const HttpRequest&)> react) {
  const std::lock_guard lock(mutex_);
  answers_[where] = std::move(react);
}

void Collector::answer(const std::string& where, HttpReply reply) {
  answer(where, [reply = std::move(reply)](const HttpRequest&) { return reply; });
}

std::vector<Json> Collector::sorted() const {
  std::vector<Json> events;
  for (const auto& [id, event] : events_) events.push_back(event);
  // Of two that have one time, the one that knows more comes later.
  std::ranges::sort(events, {}, [](const Json& event) {
    std::uint64_t known = 0;
    for (const Json& component : event["causality_vector"]) known += component[1].get<std::uint64_t>();
    return std::pair(event["timestamp"].get<std::string>(), known);
  });
  return events;
}

std::vector<Json> Collector::events(std::size_t count) const {
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, std::chrono::seconds(10), [&] { return events_.size() >= count; });
  REQUIRE(events_.size() == count);
  return sorted();
}

std::vector<Json> Collector::kinds(const std::string& kind) const {
  const std::lock_guard lock(mutex_);
  std::vector<Json> found;
  for (const Json& event : sorted()) {
    if (event["kind"].contains(kind)) found.push_back(event["kind"][kind]);
  }
  return found;
}

std::vector<HttpRequest> Collector::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::string Collector::authorization() const {
  const std::lock_guard lock(mutex_);
  return authorization_;
}

}  // namespace codewake::testing
