// A queue in a process whose limits are tight: no signal, no event lost.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "queue/scripted_queue_store.hpp"
#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

struct Events {
  int small = 3000;
  int large = 1;
};

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

void limit(__rlimit_resource resource, rlim_t most) {
  const rlimit bound{.rlim_cur = most, .rlim_max = most};
  require(setrlimit(resource, &bound) == 0, "setrlimit");
}

std::size_t address_space() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * 4096;
}

/// Logs in a child after `set_limits`: all is stored there.
ChildResult log_with(const QueueFixture& fixture, Events events, const std::function<void()>& set_limits) {
  return in_child([&] {
    set_limits();
    const auto store = fixture.make();
    introduce(*store);
    const std::string wide(500, 'w');
    for (int i = 0; i < events.small; ++i) log(*store, wide, i);
    for (int i = 0; i < events.large; ++i) log(*store, "large", std::string(200'000, 'l'));
    require(store->flush(kLong), "not all is stored");
    const StoreStats stats = store->stats();
    require(stats.stored == static_cast<std::uint64_t>(events.small + events.large) &&
                stats.lost_full + stats.lost_error == 0,
            fmt::format("{} stored, {} and {} lost: {}", stats.stored, stats.lost_full, stats.lost_error,
                        stats.problem));
    store->shutdown(kLong);
    // The file that stderr is may have no more room for what a sanitizer or the C library has to say.
    std::_Exit(0);
  });
}

TEST_CASE("A limit of files ends no program, and loses nothing") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  for (const rlim_t most : {rlim_t{4} << 20, rlim_t{256} << 10, rlim_t{8192}, rlim_t{100}, rlim_t{0}}) {
    CAPTURE(most);
    const QueueFixture fixture;
    // Large events are files of their own.
    const Events events{.large = most > 200'000 ? 1 : 0};
    const ChildResult result = log_with(fixture, events, [&] { limit(RLIMIT_FSIZE, most); });
    INFO(result.err);
    CHECK(result.signal == 0);
    CHECK(result.exit_code == 0);
  }
}

TEST_CASE("A limit of the address space makes a smaller queue") {
  if (kSanitized) CODEWAKE_SKIP("sanitizers take all of the address space");
  for (const std::size_t left : {std::size_t{200} << 20, std::size_t{100} << 20}) {
    CAPTURE(left);
    const QueueFixture fixture;
    const ChildResult result = log_with(fixture, {}, [&] { limit(RLIMIT_AS, address_space() + left); });
    INFO(result.err);
    CHECK(result.signal == 0);
    CHECK(result.exit_code == 0);
  }
}

TEST_CASE("Without descriptors, a queue has private memory") {
  if (kThreadSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const QueueFixture fixture;
  const ChildResult result = log_with(fixture, {}, [&] { limit(RLIMIT_NOFILE, 3); });
  INFO(result.err);
  CHECK(result.signal == 0);
  CHECK(result.exit_code == 0);
}

}  // namespace
}  // namespace codewake::testing
