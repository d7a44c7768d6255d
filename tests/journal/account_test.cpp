#include "journal/account.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "journal/support.hpp"
#include "support/temporary_folder.hpp"

using namespace codewake;
using namespace codewake::testing;
using namespace codewake::internal;
namespace fs = std::filesystem;

namespace {

constexpr Account kAccount{.accepted = 0x1122, .settled = 0x33, .lost = 5, .reported = 4};

}  // namespace

TEST_CASE("An account is read as it was written last") {
  const TemporaryFolder folder;
  AccountFile file(opened(folder.path()));
  CHECK_FALSE(read_account(*opened(folder.path())));
  CHECK(!file.write({.accepted = 1}));
  CHECK(!file.write(kAccount));
  CHECK(read_account(*opened(folder.path())) == kAccount);
  CHECK(to_spaced_hex(read_file(folder / "account")).starts_with("43 57 41 43 43 54 2e 0a 01 00 00 00"));
  file.remove();
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("An account that is cut off or has another bit is none") {
  const TemporaryFolder folder;
  AccountFile file(opened(folder.path()));
  CHECK(!file.write(kAccount));
  const std::string good = read_file(folder / "account");
  CHECK(good.size() == 48);
  for (std::size_t i = 0; i < good.size(); ++i) {
    folder.write("account", good.substr(0, i));
    CHECK_FALSE(read_account(*opened(folder.path())));
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = good;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      folder.write("account", damaged);
      CHECK_FALSE(read_account(*opened(folder.path())));
    }
  }
}

TEST_CASE("A run whose front is gone tells how many events that held") {
  const JournalFolder folder;
  JournalOptions options = folder.options();
  const std::string run = options.about.run;
  {
    LiveJournal journal(std::move(options));
    if (!fs::exists(folder.front_root() / run)) return;  // the front is on disk here
    Lane& lane = *journal.acquire_lane();
    for (const std::string& text : numbered("event", 10)) CHECK(write(journal, lane, text) == Accepted::yes);
    journal.note_account(3, false);
    journal.note_account(4, false);  // too early
    CHECK(read_account(*opened(folder.path() / run)) == Account{.accepted = 10, .settled = 3});
    journal.note_account(4, true);
    journal.give_up_locks();
  }
  {
    const auto dead = folder.take_over(run);
    dead->open();
    CHECK(dead->gone_events() == 0);
    CHECK(texts(collect_all(*dead)) == numbered("event", 10));
  }
  fs::remove_all(folder.front_root() / run);
  const auto dead = folder.take_over(run);
  dead->open();
  CHECK(dead->gone_events() == 6);
  CHECK(collect_all(*dead).empty());
}

TEST_CASE("A run that ends well has no account once its front goes") {
  const JournalFolder folder;
  JournalOptions options = folder.options();
  const std::string run = options.about.run;
  LiveJournal journal(std::move(options));
  Lane& lane = *journal.acquire_lane();
  CHECK(write(journal, lane, "event") == Accepted::yes);
  journal.note_account(0, true);
  journal.remove_files();
  CHECK(folder.take_over(run) == nullptr);
}
