// A program that root would make setuid: it records an event, in the store that its arguments name (a
// plugin's path, a class, a parameter), or else in the configured one.
#include <sys/auxv.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "codewake/plugin.hpp"
#include "codewake/process.hpp"

int main(int argc, char** argv) {
  std::printf("secure: %lu\n", getauxval(AT_SECURE));
  try {
    codewake::ProcessOptions options;
    if (argc == 4) options.store = codewake::load_store(argv[1], argv[2], {argv[3]});
    codewake::Process::instance(options).log({{"event", "started"}});
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
  }
  std::fflush(nullptr);
  std::_Exit(0);  // what sanitizers do at exit needs privileges that such a program does not have
}
