#include "memory_store.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "codewake/errors.hpp"
#include "codewake/event.hpp"
#include "codewake/testing/store_conformance.hpp"
#include "codewake/time.hpp"

namespace codewake::testing {
namespace {

std::string fresh_name() {
  static std::atomic<int> number{0};
  return "storage " + std::to_string(++number);
}

/// What a storage that refuses from within looks like to the suite.
class RefusingStore : public MemoryStore {
 public:
  RefusingStore(const std::string& name, std::shared_ptr<const std::string> refused_key)
      : MemoryStore({name}), refused_key_(std::move(refused_key)) {}

  BatchResult write(const Batch& batch) override {
    for (const BatchEvent& event : batch.events) {
      const auto is_refused = [&](const AttributeView& view) { return view.key == *refused_key_; };
      if (std::ranges::any_of(event.data, is_refused))
        throw StoreError(StoreError::Kind::rejected, "refused");
    }
    return MemoryStore::write(batch);
  }

 private:
  std::shared_ptr<const std::string> refused_key_;
};

CODEWAKE_STORE_CONFORMANCE("MemoryStore of its own", [] {
  return Storage{.open = [] { return std::make_shared<MemoryStore>(); }, .reopens = false};
})

CODEWAKE_STORE_CONFORMANCE("MemoryStore with a name", [] {
  const auto refused_key = std::make_shared<std::string>("\xff");  // no event has this one
  const std::string name = fresh_name();
  const auto held = std::make_shared<MemoryStore>(std::vector<std::string>{name});
  return Storage{
      .open = [held, name, refused_key] { return std::make_shared<RefusingStore>(name, refused_key); },
      .refuse_key = [refused_key](std::string_view key) { *refused_key = key; }};
})

TEST_CASE("stores without a name share nothing") {
  MemoryStore first;
  MemoryStore second;
  first.insert_app("shop", "1");
  CHECK(first.get_apps().size() == 1);
  CHECK(second.get_apps().empty());
}

TEST_CASE("named storage is gone with the last store on it") {
  const std::string name = fresh_name();
  MemoryStore({name}).insert_app("shop", "1");
  CHECK(MemoryStore({name}).get_apps().empty());
}

TEST_CASE("more than one parameter is a configuration error") {
  CHECK_THROWS_AS(MemoryStore({"a", "b"}), ConfigError);
}

TEST_CASE("a store that does not say how to remove what is old says that it cannot") {
  MemoryStore store;
  for (const auto& call : {std::function([&] { store.Store::remove_older(now(), 1); }),
                           std::function([&] { store.Store::count_older(now()); })}) {
    CHECK_THROWS_WITH_AS(
        call(),
        "rejected by the store: this kind of store cannot remove what is old; do it with the "
        "means of its storage",
        StoreError);
  }
}

TEST_CASE("a store that does not say how to change stack traces says that it cannot") {
  MemoryStore store;
  for (const auto& call : {std::function([&] { store.Store::get_stacktraces_to_symbolize(0, 1); }),
                           std::function([&] { store.Store::count_stacktraces_to_symbolize(); }),
                           std::function([&] { store.Store::replace_frames({}); })}) {
    CHECK_THROWS_WITH_AS(
        call(), "rejected by the store: this kind of store cannot change stack traces that it has stored",
        StoreError);
  }
}

}  // namespace
}  // namespace codewake::testing
