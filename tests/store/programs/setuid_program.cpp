// A program that root would make setuid: it records an event, and looks after nothing else.
#include <sys/auxv.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "codewake/process.hpp"

int main() {
  std::printf("secure: %lu\n", getauxval(AT_SECURE));
  try {
    codewake::Process::instance().log({{"event", "started"}});
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
  }
  std::fflush(nullptr);
  std::_Exit(0);  // what sanitizers do at exit needs privileges that such a program does not have
}
