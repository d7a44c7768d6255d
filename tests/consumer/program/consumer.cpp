// A program outside the tree: it knows the installed headers only, and configuration says where its records
// go.
#include <exception>
#include <iostream>
#include <vector>

#include "codewake/codewake.hpp"

namespace {

int third_of(const std::vector<int>& numbers) {
  return numbers.at(2);
}

}  // namespace

int main() {
  try {
    auto& cw = codewake::Process::instance();
    cw.log({{"event", "consumer"}, {"answer", 42}});
    try {
      return third_of({1});
    } catch (const std::exception& e) {
      cw.log({{"event", "fault"}}, e);
    }
    return cw.flush(std::chrono::seconds(30)) ? 0 : 1;
  } catch (const codewake::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
