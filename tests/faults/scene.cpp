#include "faults/scene.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <set>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "codewake/process.hpp"
#include "codewake/recovery.hpp"
#include "support/child.hpp"

namespace codewake::testing {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr int kBurst = 16;

struct Told {
  std::uint32_t thread;
  std::uint32_t sequence;
};

class Pipe {
 public:
  Pipe() {
    if (pipe(ends_.data()) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close(ends_[0]);
    close_writer();
  }
  int reader() const noexcept { return ends_[0]; }
  int writer() const noexcept { return ends_[1]; }
  void close_writer() noexcept {
    if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
  }

 private:
  std::array<int, 2> ends_{};
};

// Until the deadline, or the pipe's end; false where it has ended.
template <class Hear>
bool listen(int fd, Clock::time_point deadline, Hear hear) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return true;
    pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&poll_fd, 1, static_cast<int>(left)) <= 0) continue;
    std::array<Told, 512> told{};
    const ssize_t size = read(fd, told.data(), sizeof told);  // writes of 8 bytes are never torn
    if (size <= 0) return false;
    for (std::size_t i = 0; i < static_cast<std::size_t>(size) / sizeof(Told); ++i) hear(told[i]);
  }
}

std::optional<std::uint64_t> number_of(const char* variable) {
  const char* text = std::getenv(variable);
  std::uint64_t number = 0;
  if (text == nullptr || std::from_chars(text, text + std::strlen(text), number).ec != std::errc())
    return std::nullopt;
  return number;
}

}  // namespace

Torture torture(int kills) {
  const auto wanted = number_of("CODEWAKE_TORTURE_KILLS");
  return {.kills = wanted ? static_cast<int>(*wanted) : kills,
          .seed = number_of("CODEWAKE_TORTURE_SEED").value_or(std::random_device{}())};
}

Tally operator+(const Tally& a, const Tally& b) {
  return {.kills = a.kills + b.kills,
          .told = a.told + b.told,
          .stored = a.stored + b.stored,
          .lost = a.lost + b.lost,
          .twice = a.twice + b.twice,
          .out_of_order = a.out_of_order + b.out_of_order};
}

Scene::Scene(const Torture& torture) : seed_(torture.seed), target_(seed_), random_(seed_) {}

Config::Queue Scene::options() const {
  Config::Queue options;
  options.journal = journal_.path();
  options.interval = 2ms;
  options.batch = 200;
  options.when_full = WhenFull::block;
  return options;
}

void Scene::log_until_killed(const Program& program, std::uint64_t seed, int pipe) const {
  Process& process = Process::instance({.app_name = "faults", .store = program.make_store(*this, seed)});
  std::vector<std::thread> threads;
  for (std::uint32_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread,
                          random = std::minstd_rand(static_cast<unsigned>(seed) + thread)]() mutable {
      const std::string text(100'000, 'x');
      for (std::uint32_t sequence = 1; program.events == 0 || sequence <= program.events; ++sequence) {
        const std::string at = fmt::format("{}/{}/{}", round_, thread, sequence);
        const bool large = program.large_in != 0 && random() % static_cast<unsigned>(program.large_in) == 0;
        const std::size_t size = large ? text.size() : random() % program.longest_value;
        process.log({{"at", at}, {"pad", std::string_view(text).substr(0, size)}});
        if (sequence % 4 == 0) {
          const Told told{thread, sequence};
          if (write(pipe, &told, sizeof told) != sizeof told) std::_Exit(71);
        }
        if (sequence % kBurst == 0) std::this_thread::sleep_for(program.pause);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (!process.shutdown(60s)) throw std::runtime_error("not everything was stored at the end");
}

void Scene::run_and_kill(const Program& program) {
  ++round_;
  const std::uint64_t seed = random_();
  const auto life =
      program.least_life + std::chrono::microseconds(draw(static_cast<std::uint64_t>(program.life.count())));
  const bool from_start = draw(8) == 0;
  Pipe pipe;
  const pid_t child = start_child([&] { log_until_killed(program, seed, pipe.writer()); });
  pipe.close_writer();
  const auto hear = [&](const Told& told) { told_[{round_, static_cast<int>(told.thread)}] = told.sequence; };
  if (!from_start) {
    pollfd first{.fd = pipe.reader(), .events = POLLIN, .revents = 0};
    CHECK(poll(&first, 1, 60'000) == 1);
  }
  bool lives = true;
  if (program.meanwhile) {
    lives = listen(pipe.reader(), Clock::now() + life / 2, hear);
    program.meanwhile();
  }
  lives = lives && listen(pipe.reader(), Clock::now() + (program.meanwhile ? life / 2 : life), hear);
  kill(child, SIGKILL);
  const int code = wait_for(child);
  const bool ended = program.events != 0 && code == 0;
  CHECK((ended || (code == -SIGKILL && (lives || program.events != 0))));
  while (listen(pipe.reader(), Clock::now() + 1h, hear)) {
  }
  if (!ended) ++kills_;
}

bool Scene::run_for_a_while(const std::function<void()>& body, std::chrono::microseconds life) {
  const auto part = std::chrono::microseconds(draw(static_cast<std::uint64_t>(life.count())));
  Pipe pipe;
  const pid_t child = start_child(body);
  pipe.close_writer();
  // The child has the other end, and closes it when it is done.
  if (listen(pipe.reader(), Clock::now() + part, [](const Told&) {})) kill(child, SIGKILL);
  const int code = wait_for(child);
  CHECK((code == 0 || code == -SIGKILL));
  if (code == -SIGKILL) ++kills_;
  return code == 0;
}

Tally Scene::look() {
  Tally tally{.kills = std::exchange(kills_, 0)};
  std::map<Lane, std::uint32_t> last;
  const auto rows = target_.rows(fmt::format(
      "SELECT val, event_id FROM events_data WHERE \"key\" = 'at' AND event_id > {} ORDER BY event_id",
      looked_to_));
  for (const auto& row : rows) {
    int round = 0, thread = 0;
    std::uint32_t sequence = 0;
    REQUIRE(std::sscanf(row[0].c_str(), "%d/%d/%u", &round, &thread, &sequence) == 3);
    looked_to_ = std::stoll(row[1]);
    ++tally.stored;
    std::uint32_t& before = last[{round, thread}];
    if (sequence == before) ++tally.twice;
    if (sequence < before) ++tally.out_of_order;  // or a second time
    if (sequence > before + 1) tally.lost += sequence - before - 1;
    before = std::max(before, sequence);
  }
  for (const auto& [lane, sequence] : told_) {
    tally.told += sequence;
    if (sequence > last[lane]) tally.lost += sequence - last[lane];
  }
  told_.clear();
  return tally;
}

Tally Scene::look_everywhere() {
  Tally tally{.kills = std::exchange(kills_, 0)};
  std::map<Lane, std::set<std::uint32_t>> found;
  for (const auto& rows : target_.rows_of_all("SELECT val FROM events_data WHERE \"key\" = 'at'")) {
    std::set<std::string> here;
    for (const auto& row : rows) {
      int round = 0, thread = 0;
      std::uint32_t sequence = 0;
      REQUIRE(std::sscanf(row[0].c_str(), "%d/%d/%u", &round, &thread, &sequence) == 3);
      if (!here.insert(row[0]).second) ++tally.twice;
      found[{round, thread}].insert(sequence);
    }
  }
  for (const auto& [lane, sequences] : found) {
    tally.stored += sequences.size();
    tally.lost += *sequences.rbegin() - sequences.size();
  }
  for (const auto& [lane, sequence] : told_) {
    tally.told += sequence;
    const std::set<std::uint32_t>& sequences = found[lane];
    const std::uint32_t last = sequences.empty() ? 0 : *sequences.rbegin();
    if (sequence > last) tally.lost += sequence - last;
  }
  return tally;
}

void Scene::conclude(const std::string& what, const Tally& tally) {
  fmt::print(
      "torture: {}, {}: {} kills, {} events told of, {} stored, {} lost, {} twice, {} out of order, seed "
      "{}\n",
      what, target_.conclude(), tally.kills, tally.told, tally.stored, tally.lost, tally.twice,
      tally.out_of_order, seed_);
  std::fflush(stdout);
  CHECK(tally.lost == 0);
  CHECK(tally.twice == 0);
  CHECK(tally.out_of_order == 0);
}

void recover_all(Store& store, const std::filesystem::path& journal) {
  const auto deadline = Clock::now() + 180s;
  while (true) {
    const std::vector<JournalRun> runs = recover_journals(store, {.journal_folder = journal});
    if (runs.empty()) return;
    std::string states;
    bool done = true;
    for (const JournalRun& run : runs) {
      done = done && run.state == JournalRun::State::recovered;
      states += fmt::format(" {}: {} {};", run.run, to_string(run.state), run.problem);
      if (run.skipped_bytes != 0) states += fmt::format(" {} bytes skipped", run.skipped_bytes);
    }
    if (done) return;
    if (Clock::now() > deadline) throw std::runtime_error("not recovered in time:" + states);
    std::this_thread::sleep_for(1ms);  // somebody else is at work, or the store is away
  }
}

}  // namespace codewake::testing
