// The store that the scenes of a program go over: SQLite in one program, PostgreSQL in another.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/store.hpp"
#include "support/skip.hpp"

namespace codewake::testing {

/// How a store fails beyond what its database does by itself.
struct Trouble {
  /// Of the calls, how many fail, in every way there is; from 0 to 1.
  double part = 0;
  std::uint64_t seed = 0;
  /// Every write fails, and nothing else does.
  bool is_away = false;
};

/// A database of its own for one scene, and stores over it. Made by the process that looks into it; its
/// children make stores.
class Target {
 public:
  /// Why there can be none; empty where there can.
  static std::string missing();

  /// The seed decides when the database's server goes and comes, where it has one: from now on, until the
  /// object's end.
  explicit Target(std::uint64_t seed);
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target();

  std::shared_ptr<Store> store(const Trouble& trouble = {}) const;
  std::shared_ptr<Store> queue(const Config::Queue& options, const Trouble& trouble = {}) const;

  /// What the database answers to this, as text; waits for its server.
  std::vector<std::vector<std::string>> rows(const std::string& sql);

  /// Moves the database away, as it is: from now on there is none in its place. Throws where it lies on a
  /// server.
  void move_away();
  /// What each of those that were moved away answers, the oldest first, and the present one.
  std::vector<std::vector<std::vector<std::string>>> rows_of_all(const std::string& sql);

  /// Ends what goes on behind the scene, and says what that was, such as `on SQLite`.
  std::string conclude();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Leaves the test case that it stands in, where there can be no database.
#define CODEWAKE_NEEDS_TARGET()                                                               \
  do {                                                                                        \
    if (const std::string missing = ::codewake::testing::Target::missing(); !missing.empty()) \
      CODEWAKE_SKIP(missing);                                                                 \
  } while (false)

}  // namespace codewake::testing
