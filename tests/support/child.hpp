// Code that runs in a process of its own: for what can be done only once in a process, or kills it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

namespace codewake::testing {

/// How a child ended, and what it said.
struct ChildResult {
  int exit_code = -1;  ///< -1 where a signal ended it
  int signal = 0;      ///< 0 where it exited
  std::string out;
  std::string err;
};

/// Forks, runs `body` in the child, and lets it exit as a program does that returns 0 from main. An exception
/// out of `body` is written to the child's stderr, and its exit code is then 70. Waits for the child.
ChildResult in_child(const std::function<void()>& body);

/// Forks; the child runs `body` and ends with 0, or with 70 and the message on stderr where `body` throws.
pid_t start_child(const std::function<void()>& body);

/// Waits; the exit code, or minus the signal that ended it.
int wait_for(pid_t child);

}  // namespace codewake::testing
