// A program that root would make setuid: it sends a request, without a Raceway server.
#include <sys/auxv.h>

#include <cstdio>
#include <cstdlib>

#include "codewake/errors.hpp"
#include "codewake/raceway.hpp"

int main(int, char** argv) {
  std::printf("secure: %lu\n", getauxval(AT_SECURE));
  try {
    codewake::raceway::Client client{{}};
    client.request("GET", argv[1]);
  } catch (const codewake::Error& error) {
    std::printf("%s\n", error.what());
  }
  std::fflush(nullptr);
  std::_Exit(0);  // what sanitizers do at exit needs privileges that such a program does not have
}
