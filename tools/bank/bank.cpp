// Two transfers from one account at the same time: `bank racy` loses one of them, `bank repaired` does not.
#include <cstdio>
#include <latch>
#include <mutex>
#include <string_view>

#include "codewake/codewake.hpp"
#include "codewake/traced.hpp"

namespace {

using codewake::spawn;
using codewake::Traced;
using codewake::TracedMutex;

struct Account {
  Traced<int> balance;
  TracedMutex<> mutex;
};

// Both threads have read before either writes, so that the update is lost each time and not once in a while.
void transfer_racy(Account& from, int amount, std::latch& both_have_read) {
  const int balance = from.balance.get();
  both_have_read.arrive_and_wait();
  from.balance.set(balance - amount);
}

void transfer(Account& from, int amount) {
  const std::lock_guard lock(from.mutex);
  const int balance = from.balance.get();
  from.balance.set(balance - amount);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view how = argc == 2 ? argv[1] : "";
  if (how != "racy" && how != "repaired") {
    std::fputs("bank: has two transfers run at once. Usage: bank racy|repaired\n", stderr);
    return 2;
  }
  Account alice{Traced<int>("account:alice", 100), TracedMutex<>("lock:alice")};
  {
    const codewake::Scope scope(codewake::Process::instance().tracer());
    std::latch both_have_read(2);
    const auto transfer_of = [&](int amount) {
      how == "racy" ? transfer_racy(alice, amount, both_have_read) : transfer(alice, amount);
    };
    auto rent = spawn([&] { transfer_of(30); }, "rent");
    auto food = spawn([&] { transfer_of(20); }, "food");
    rent.join();
    food.join();
  }
  std::printf("Of 100, 30 and 20 were paid: %d are left.\n", alice.balance.get());
  return 0;
}
