#include "crashes/dying.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace codewake::testing {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

}  // namespace

std::vector<std::string> variants() {
  std::vector<std::string> names;
  std::istringstream list(variable("CODEWAKE_TEST_VARIANTS"));
  for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  return names;
}

std::filesystem::path program(const std::string& name) {
  return std::filesystem::path(variable("CODEWAKE_TEST_PROGRAMS")) / name;
}

std::vector<std::string> watched(std::vector<std::string> words, const std::vector<std::string>& options) {
  std::vector<std::string> all = {variable("CODEWAKE_TEST_TOOL"), "run"};
  all.insert(all.end(), options.begin(), options.end());
  all.push_back("--");
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

ChildResult Deathbed::run(const std::vector<std::string>& words,
                          const std::vector<std::string>& variables) const {
  return in_child([&] { become(words, variables); });
}

void Deathbed::become(const std::vector<std::string>& words,
                      const std::vector<std::string>& variables) const {
  const rlimit no_core{};
  setrlimit(RLIMIT_CORE, &no_core);
  setenv("CODE_WAKE_STORE_ADAPTER", ("code_wake_sqlite_store," + store_).c_str(), 1);
  setenv("CODE_WAKE_STORE_CONFIG", dsn().c_str(), 1);
  setenv("CODE_WAKE_QUEUE_JOURNAL", journal_.path().c_str(), 1);
  for (const std::string& assignment : variables) {
    const std::size_t equals = assignment.find('=');
    setenv(assignment.substr(0, equals).c_str(), assignment.substr(equals + 1).c_str(), 1);
  }
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  std::perror(arguments[0]);
  std::_Exit(72);
}

std::vector<JournalRun> Deathbed::recover() const {
  SqliteStore store({dsn()});
  return recover_journals(store, {.journal_folder = journal_.path()});
}

std::vector<EventRecord> Deathbed::crashes() const {
  SqliteStore store({dsn()});
  return store.get_events_by_data({{"event", "codewake.crash"}});
}

std::string value(const EventRecord& event, const std::string& key) {
  const Attribute* const attribute = event.data.find(key);
  return attribute == nullptr || !attribute->value ? std::string() : *attribute->value;
}

}  // namespace codewake::testing
