// What client libraries read from the environment, although a setuid program must not.
#pragma once

#include <sys/auxv.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace codewake::internal {

/// In a program with raised privileges (AT_SECURE), the name of a variable in its environment that `matters`;
/// empty where there is none, and in every other program. The user who starts such a program sets its
/// variables, and a library that reads them by plain getenv obeys. Reentrant.
template <class Predicate>
std::string variable_of_another_user(Predicate matters) {
  if (getauxval(AT_SECURE) == 0 || environ == nullptr) return {};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    const std::string_view name = variable.substr(0, variable.find('='));
    if (matters(name)) return std::string(name);
  }
  return {};
}

}  // namespace codewake::internal
