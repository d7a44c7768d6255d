#include "journal/merge.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace codewake::internal {
namespace {

struct TestRecord {
  RecordHeader header = {};
};

struct TestLane {
  using Taken = TestRecord;
  char name;
  std::vector<std::pair<std::uint64_t, RecordKind>> records = {};
  std::size_t next = 0;
};

std::string merged(std::vector<TestLane> lanes, std::size_t most = 100) {
  std::vector<TestLane*> pointers;
  for (TestLane& lane : lanes) pointers.push_back(&lane);
  std::string order;
  merge_by_time(
      pointers,
      [](TestLane* lane, TestRecord& record) {
        if (lane->next == lane->records.size()) return false;
        record.header.time = lane->records[lane->next].first;
        record.header.kind = static_cast<std::uint8_t>(lane->records[lane->next].second);
        return true;
      },
      [&](TestLane* lane, TestRecord&) {
        if (order.size() == most) return false;
        order += lane->name;
        ++lane->next;
        return true;
      });
  return order;
}

constexpr RecordKind kEvent = RecordKind::event, kProcess = RecordKind::process;

TEST_CASE("Records of several lanes are merged by their time, those of one lane in its order") {
  CHECK(merged({}) == "");
  CHECK(merged({{'a', {{1, kEvent}, {4, kEvent}, {5, kEvent}}},
                {'b', {{2, kEvent}, {3, kEvent}, {6, kEvent}}}}) == "abbaab");
  CHECK(merged({{'a', {{5, kEvent}, {1, kEvent}}}, {'b', {{3, kEvent}, {7, kEvent}}}}) == "baab");
}

TEST_CASE("A merge ends when a record is refused") {
  CHECK(merged({{'a', {{1, kEvent}, {3, kEvent}}}, {'b', {{2, kEvent}}}}, 2) == "ab");
}

TEST_CASE("A process comes before its events also where the clock was set back after it") {
  CHECK(merged({{'p', {{100, kProcess}}}, {'a', {{1, kEvent}, {2, kEvent}}}}) == "paa");
  CHECK(merged({{'a', {{1, kEvent}, {2, kEvent}}}, {'p', {{100, kProcess}, {50, kEvent}}}}) == "paap");
}

}  // namespace
}  // namespace codewake::internal
