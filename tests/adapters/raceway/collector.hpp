// A Raceway server that keeps what it takes, and what a program beside it would see.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adapters/raceway/server.hpp"
#include "support/journal_folder.hpp"

namespace codewake::testing {

/// A variable of the environment, and afterwards what it was before.
class Variable {
 public:
  Variable(const char* name, const std::string& value);
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable();

 private:
  const char* name_;
  bool was_set_;
  std::string before_;
};

/// Takes events by the contract, at whatever host it is asked for: as a proxy it is every server there is.
/// Other paths answer what `answer` has said, else 404. Thread-safe.
class Collector {
 public:
  Collector();

  std::string url() const { return server_.url(); }
  void stop() { server_.stop(); }
  void start() { server_.start(); }

  /// `where`: a path, or a URL where it is asked as a proxy.
  void answer(const std::string& where, std::function<HttpReply(const HttpRequest&)> react);
  void answer(const std::string& where, HttpReply reply);

  /// The events that have arrived, each once, in the order in which they happened, waiting for `count` of
  /// them, ten seconds at most.
  std::vector<nlohmann::json> events(std::size_t count) const;
  /// What those of a kind have under its name, of the events that are there by now.
  std::vector<nlohmann::json> kinds(const std::string& kind) const;
  /// All requests but those with events.
  std::vector<HttpRequest> requests() const;
  /// The value of Authorization that came with events last.
  std::string authorization() const;

 private:
  HttpReply react(const HttpRequest& request);
  std::vector<nlohmann::json> sorted() const;  // with mutex_ held

  mutable std::mutex mutex_;
  mutable std::condition_variable arrived_;
  std::map<std::string, nlohmann::json> events_;  // by id; guarded by mutex_, as all the rest
  std::map<std::string, std::function<HttpReply(const HttpRequest&)>> answers_;
  std::vector<HttpRequest> requests_;
  std::string authorization_;
  HttpServer server_;
};

/// A collector, and a journal that is the default of what is made beside it.
struct CollectorFixture {
  JournalFolder journal;
  Variable journal_variable{"CODE_WAKE_QUEUE_JOURNAL", journal.path().string()};
  Collector collector;
};

}  // namespace codewake::testing
