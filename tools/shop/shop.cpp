// A small shop that records what it does: the program that `tools/demo` runs.
//
// Nothing in it says where records go: that is configuration's business. It takes a handful of orders; some
// fail deep inside, the shop records the fault and goes on.
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "codewake/codewake.hpp"
#include "codewake/visible.hpp"

namespace {

struct Order {
  int number = 0;
  std::string customer;
  std::size_t shelf = 0;
  int pieces = 0;
  double amount = 0;
  bool vip = false;
};

class OrderFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class PaymentDeclined : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Warehouse {
 public:
  // A shelf that does not exist is an exception thrown inside the standard library.
  void take(std::size_t shelf, int pieces) { stock_.at(shelf) -= pieces; }

 private:
  std::vector<int> stock_ = {12, 40, 3};
};

class Bank {
 public:
  void charge(const std::string& customer, double amount) const {
    if (amount > kLimit) throw PaymentDeclined(customer + "'s card has a limit of 1000");
  }

 private:
  static constexpr double kLimit = 1000;
};

class Shop {
 public:
  void create_order(const Order& order) {
    warehouse_.take(order.shelf, order.pieces);
    pay(order);
  }

 private:
  void pay(const Order& order) const {
    try {
      bank_.charge(order.customer, order.amount);
    } catch (const PaymentDeclined&) {
      std::throw_with_nested(OrderFailed("order " + std::to_string(order.number) + " was not paid"));
    }
  }

  Warehouse warehouse_;
  Bank bank_;
};

void serve(codewake::Process& cw, Shop& shop, const Order& order) {
  try {
    shop.create_order(order);
    cw.log({{"event", "order"},
            {"number", order.number},
            {"customer", order.customer},
            {"amount", order.amount},
            {"vip", order.vip}});
    std::cout << "order " << order.number << " of " << order.customer << ": done\n";
  } catch (const std::exception& e) {
    cw.log({{"event", "fault"},
            {"doing", "create_order"},
            {"number", order.number},
            {"customer", order.customer}},
           e);
    std::cout << "order " << order.number << " of " << order.customer << ": failed\n";
  }
}

const std::vector<Order> kOrders = {
    {.number = 1001, .customer = "Ada", .shelf = 0, .pieces = 2, .amount = 12.5, .vip = true},
    {.number = 1002, .customer = "Grace", .shelf = 1, .pieces = 1, .amount = 99},
    {.number = 1003, .customer = "Edsger", .shelf = 7, .pieces = 1, .amount = 3.2},
    {.number = 1004, .customer = "Barbara", .shelf = 2, .pieces = 1, .amount = 1499, .vip = true},
    {.number = 1005, .customer = "Tony", .shelf = 9, .pieces = 4, .amount = 16},
};

}  // namespace

int main() {
  try {
    auto& cw = codewake::Process::instance();
    cw.log({{"event", "opened"}});
    Shop shop;
    for (const Order& order : kOrders) serve(cw, shop, order);
    return EXIT_SUCCESS;
  } catch (const codewake::Error& e) {
    codewake::say_on_stderr({"shop: ", e.what()});
    return EXIT_FAILURE;
  }
}
