// Random programs: the analysis agrees with what follows from all that came directly before what.
#include <doctest/doctest.h>

#include <algorithm>
#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "history_builder.hpp"
#include "model.hpp"
#include "order.hpp"
#include "race_detector.hpp"

namespace codewake::analysis {
namespace {

using testing::Model;

constexpr std::size_t kMostEvents = 256;
using Closure = std::vector<std::bitset<kMostEvents>>;  // what comes before each event

enum class Requests { none, some };

Model random_program(std::mt19937_64& random, Requests requests = Requests::some) {
  const auto pick = [&](std::size_t count) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
  };
  Model model;
  struct Alive {
    Model::Execution execution;
    std::optional<std::size_t> parent;
    bool is_request = false, is_over = false;
  };
  std::vector<Alive> alive;
  for (std::size_t i = 0; i <= pick(3); ++i) alive.push_back({model.root(), std::nullopt});
  const std::size_t steps = 10 + pick(140), locks = 1 + pick(3), variables = 1 + pick(4);
  constexpr Access kKinds[] = {Access::read,        Access::read,         Access::write,
                               Access::atomic_read, Access::atomic_write, Access::atomic_rmw};
  for (std::size_t i = 0; i < steps && model.events().size() + 4 < kMostEvents; ++i) {
    const std::size_t who = pick(alive.size());
    if (alive[who].is_over) continue;
    const Model::Execution execution = alive[who].execution;
    const std::string lock = "lock" + std::to_string(pick(locks));
    switch (pick(10)) {
      case 0:
        if (alive.size() < 12) alive.push_back({model.spawn(execution), who});
        break;
      case 1:
        if (alive.size() < 12 && requests == Requests::some)
          alive.push_back({model.send(execution, "stock"), who, true});
        break;
      case 2:
      case 3:  // whoever holds nothing ends
        if (alive[who].parent && model.has_events(execution) && model.held(execution).empty() &&
            !alive[*alive[who].parent].is_over) {
          alive[who].is_over = true;
          const Model::Execution parent = alive[*alive[who].parent].execution;
          alive[who].is_request ? model.answer(execution, parent) : model.join(parent, execution);
        }
        break;
      case 4:
        if (model.is_free(lock)) model.acquire(execution, lock);
        break;
      case 5:
        if (!model.held(execution).empty()) model.release(execution, model.held(execution).back());
        break;
      default:
        model.access(execution, "v" + std::to_string(pick(variables)), kKinds[pick(std::size(kKinds))],
                     static_cast<std::uint32_t>(1 + pick(5)));
    }
  }
  return model;
}

Closure closure_of(const Model& model, bool is_firm) {
  Closure closure(model.events().size());
  for (std::size_t event = 0; event < closure.size(); ++event) {
    for (const auto& [before, firm] : model.before()[event]) {
      if (is_firm && !firm) continue;
      closure[event] |= closure[before];
      closure[event].set(before);
    }
  }
  return closure;
}

History history_of(const std::vector<TraceEventRecord>& events) {
  HistoryBuilder builder;
  for (const TraceEventRecord& event : events) builder.add(event);
  return builder.finish();
}

/// The order's answer about each pair.
Closure ordered_by(const History& history, Order& order) {
  struct Seen {
    std::uint32_t execution = 0, epoch = 0;
    std::size_t number = 0;
    ClockTree::Clock clock = nullptr;
  };
  std::vector<Seen> seen(history.events.size());
  std::size_t number = 0;
  order.walk([&](const Moment& moment) {
    seen[moment.event] = {moment.execution, moment.epoch, number++, order.clocks().share(moment.clock)};
  });
  CHECK(number == history.events.size());
  Closure closure(seen.size());
  for (std::size_t b = 0; b < seen.size(); ++b) {
    for (std::size_t a = 0; a < seen.size(); ++a) {
      const bool is_before = seen[a].execution == seen[b].execution
                                 ? history.events[a].step < history.events[b].step
                                 : order.clocks().epoch_of(seen[b].clock, seen[a].execution) >= seen[a].epoch;
      if (is_before) closure[b].set(a);
      if (is_before && seen[a].number > seen[b].number) FAIL("visited before what came before it");
    }
  }
  for (const Seen& each : seen) order.clocks().release(each.clock);
  return closure;
}

using Counts = std::map<std::pair<std::uint32_t, std::uint32_t>, std::pair<std::uint64_t, std::uint64_t>>;

Counts races_by(const Model& model, const Closure& closure) {
  Counts counts;
  const auto& events = model.events();
  for (std::size_t b = 0; b < events.size(); ++b) {
    for (std::size_t a = 0; a < b; ++a) {
      if (!events[a].access || !events[b].access || events[a].texts.name != events[b].texts.name) continue;
      const auto is_write = [](Access access) {
        return access != Access::read && access != Access::atomic_read;
      };
      const auto is_atomic = [](Access access) { return access != Access::read && access != Access::write; };
      const bool writes_a = is_write(*events[a].access), writes_b = is_write(*events[b].access);
      if (!(writes_a || writes_b) || (is_atomic(*events[a].access) && is_atomic(*events[b].access))) continue;
      if (closure[b].test(a) || events[a].texts.execution == events[b].texts.execution) continue;
      auto& [both, one] = counts[std::minmax(events[a].line, events[b].line)];
      ++(writes_a && writes_b ? both : one);
    }
  }
  return counts;
}

Counts races_found(const History& history) {
  Order order(history, Order::Kind::observed);
  RaceDetector detector(history, order);
  order.walk([&](const Moment& moment) { detector.visit(moment); });
  Counts counts;
  for (const auto& [places, found] : detector.found()) {
    counts[std::minmax(history.places[places.first].line, history.places[places.second].line)] = {
        found.write_write, found.read_write};
    const Happened& first = history.events[found.first];
    const Happened& second = history.events[found.second];
    CHECK(first.name == second.name);
    CHECK(first.execution != second.execution);
    CHECK(std::min(first.place, second.place) == places.first);
    CHECK(std::max(first.place, second.place) == places.second);
  }
  return counts;
}

std::size_t programs() {
  const char* const text = std::getenv("CODEWAKE_RANDOM_PROGRAMS");
  return text == nullptr ? 10'000 : std::strtoul(text, nullptr, 10);
}

TEST_CASE("Of random programs the order of each pair of events is the true one, and so are the races") {
  std::size_t racy = 0, pairs = 0;
  for (std::size_t seed = 0; seed < programs(); ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const Requests requests = seed % 2 == 0 ? Requests::some : Requests::none;
    const Model model = random_program(random, requests);
    const Closure closure = closure_of(model, false);
    const History history = history_of(model.events());
    Order observed(history, Order::Kind::observed);
    REQUIRE(ordered_by(history, observed) == closure);
    Order firm(history, Order::Kind::firm);
    const Closure found = ordered_by(history, firm), truly = closure_of(model, true);
    // The answer to a request says nothing new to who knows of it from a lock, and cannot be told from that.
    for (std::size_t event = 0; event < found.size(); ++event) REQUIRE((found[event] & ~truly[event]).none());
    if (requests == Requests::none) {
      REQUIRE(found == truly);
    }
    const Counts races = races_by(model, closure);
    REQUIRE(races_found(history) == races);
    racy += races.empty() ? 0 : 1;
    for (const auto& before : closure) pairs += before.count();
  }
  MESSAGE(racy, " of ", programs(), " programs had races; ", pairs, " pairs of events were ordered");
  CHECK(racy > programs() / 10);
}

TEST_CASE("The order in which events are read, and what other computers' clocks say, does not matter") {
  for (std::size_t seed = 0; seed < programs() / 20; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const Model model = random_program(random);
    std::vector<TraceEventRecord> events = model.events();
    const Counts races = races_by(model, closure_of(model, false));
    for (TraceEventRecord& event : events) {
      if (event.texts.service == "stock") event.when -= std::chrono::hours(5);
    }
    std::stable_sort(events.begin(), events.end(),
                     [](const auto& a, const auto& b) { return a.when < b.when; });
    REQUIRE(races_found(history_of(events)) == races);
    std::shuffle(events.begin(), events.end(), random);
    REQUIRE(races_found(history_of(events)) == races);
  }
}

TEST_CASE("Of what lost events, nothing is ordered that was not, and what is damaged is called so") {
  for (std::size_t seed = 0; seed < programs() / 20; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const Model model = random_program(random);
    if (model.events().size() < 2) continue;
    const Closure closure = closure_of(model, false);
    std::vector<TraceEventRecord> events;
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < model.events().size(); ++i) {
      if (random() % 5 == 0) continue;
      events.push_back(model.events()[i]);
      numbers.push_back(i);
    }
    History history = history_of(events);
    Order order(history, Order::Kind::observed);
    const Closure found = ordered_by(history, order);
    for (std::size_t b = 0; b < numbers.size(); ++b) {
      for (std::size_t a = 0; a < numbers.size(); ++a) {
        if (found[b].test(a)) {
          REQUIRE(closure[numbers[b]].test(numbers[a]));
        }
      }
    }
  }
}

}  // namespace
}  // namespace codewake::analysis
