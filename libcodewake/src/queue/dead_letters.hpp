// Events that a store refused for good: kept where people find them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "queue/batch_builder.hpp"

namespace codewake::internal {

/// Appends to `dead/<run>.ndjson` in the journal folder, an object a line: why, when, which process, and what
/// the event said. Thread-bound.
class DeadLetters {
 public:
  /// More than this is only counted.
  static constexpr std::uint64_t kMostBytes = 64u << 20;

  /// An empty folder: nothing is written, only counted.
  DeadLetters(std::filesystem::path journal_folder, std::string run);

  /// Says on stderr, once, that there are some, and what keeps them from being written.
  void set_aside(const BatchBuilder& builder, const BatchBuilder::Item& item, const std::string& reason);

 private:
  std::string keep(const std::string& line);

  std::filesystem::path folder_;  // the journals'
  std::string name_;
  std::uint64_t written_bytes_ = 0;
  bool said_ = false;
};

}  // namespace codewake::internal
