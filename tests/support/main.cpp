#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

namespace {

// Tests say themselves what is configured: nothing of the machine's own configuration may leak in. Where the
// plugins of this build are is the one thing that the build says.
void forget_configuration() {
  std::vector<std::string> names;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view entry(*variable);
    if (entry.starts_with("CODE_WAKE_") || entry.starts_with("RACEWAY_")) {
      names.emplace_back(entry.substr(0, entry.find('=')));
    }
  }
  for (const std::string& name : names) {
    if (name != "CODE_WAKE_PLUGIN_PATH") unsetenv(name.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  forget_configuration();
  doctest::Context context(argc, argv);
  return context.run();
}
