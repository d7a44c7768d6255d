// A program that makes its store itself, and so is linked with the adapter.
#include <chrono>
#include <iostream>
#include <memory>

#include "codewake/codewake.hpp"
#include "codewake/sqlite_store.hpp"

int main(int, char** arguments) {
  try {
    auto store = std::make_shared<codewake::SqliteStore>(arguments[1]);
    auto& cw = codewake::Process::instance({.app_name = "direct", .store = store});
    const auto event = cw.log({{"event", "direct"}}, {.sync = true});
    return event && store->get_event_by_id(event->id) == event ? 0 : 1;
  } catch (const codewake::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
