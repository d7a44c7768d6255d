// A program that logs and is killed, whoever recovers what it left, and what must be in the store then.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "codewake/config.hpp"
#include "codewake/store.hpp"
#include "faults/target.hpp"
#include "support/journal_folder.hpp"

namespace codewake::testing {

/// How much is to be done: `CODEWAKE_TORTURE_KILLS` and `CODEWAKE_TORTURE_SEED`, which tools/dev/torture
/// sets.
struct Torture {
  int kills;
  std::uint64_t seed;
};

/// `kills`: where no variable says how many. The seed is another one in every run, and printed.
Torture torture(int kills);

/// What a round has come to, and the sum of rounds.
struct Tally {
  std::uint64_t kills = 0;
  std::uint64_t told = 0;          ///< events whose log() had returned
  std::uint64_t stored = 0;        ///< events in the store
  std::uint64_t lost = 0;          ///< told of, or followed by others of the thread, and not stored
  std::uint64_t twice = 0;         ///< stored more than once
  std::uint64_t out_of_order = 0;  ///< stored before an earlier one of the thread
};

/// A database, a journal, and the rounds that have gone over them.
class Scene {
 public:
  static constexpr int kThreads = 4;

  /// How the program behaves that is to be killed.
  struct Program {
    std::function<std::shared_ptr<Store>(const Scene& scene, std::uint64_t seed)> make_store;
    /// The longest life; each is a random part of it. Most begin when the first event is told of, some when
    /// the program starts.
    std::chrono::microseconds life = std::chrono::milliseconds(40);
    /// None is shorter.
    std::chrono::microseconds least_life = std::chrono::microseconds(0);
    /// Between bursts of 16 events.
    std::chrono::microseconds pause = std::chrono::microseconds(300);
    std::size_t longest_value = 400;
    /// One event in so many has a value of 100,000 bytes; 0: none.
    int large_in = 0;
    /// In the middle of its life, where there is something.
    std::function<void()> meanwhile = {};
    /// After so many events of each thread the program shuts down; 0: never. It may be gone before it is
    /// killed.
    std::uint32_t events = 0;
  };

  explicit Scene(const Torture& torture);

  Config::Queue options() const;
  const Target& target() const noexcept { return target_; }
  Target& target() noexcept { return target_; }
  const JournalFolder& journal() const noexcept { return journal_; }
  std::mt19937_64& random() noexcept { return random_; }
  std::uint64_t draw(std::uint64_t below) { return random_() % below; }

  /// Starts the program, and kills it at a random moment.
  void run_and_kill(const Program& program);

  /// Starts `body` in a child and kills it after a random part of `life`, unless it is done before: then the
  /// result is true. What `body` throws fails the test.
  bool run_for_a_while(const std::function<void()>& body, std::chrono::microseconds life);

  /// Compares what is in the store with what was told, since the last call.
  Tally look();

  /// The same where databases were moved away: what was told is in one of them. What was sent again because
  /// the old one had it, or may have had it, is in two; in one it is once.
  Tally look_everywhere();

  /// Prints the line that tools/dev/torture sums up, and checks that nothing was lost, or stored twice, or in
  /// another order.
  void conclude(const std::string& what, const Tally& tally);

 private:
  using Lane = std::pair<int, int>;  // round and thread

  void log_until_killed(const Program& program, std::uint64_t seed, int pipe) const;

  const std::uint64_t seed_;
  Target target_;
  JournalFolder journal_;
  std::mt19937_64 random_;
  int round_ = 0;
  std::int64_t looked_to_ = 0;
  std::map<Lane, std::uint32_t> told_;
  std::uint64_t kills_ = 0;
};

/// Recovers until nothing is left, through `store`; throws where that takes longer than three minutes.
void recover_all(Store& store, const std::filesystem::path& journal);

/// Adds.
Tally operator+(const Tally& a, const Tally& b);

}  // namespace codewake::testing
