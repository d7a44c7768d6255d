#include "store_option.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <string_view>

#include "codewake/config.hpp"
#include "codewake/secret_file.hpp"
#include "command.hpp"

namespace codewake::cli {
namespace {

constexpr std::string_view kOption = "--store";
constexpr std::string_view kVariable = "env:";
constexpr std::string_view kFile = "file:";

/// Whether it was a secret, and is overwritten.
bool hide(char* value) {
  const std::string_view text(value);
  if (masked(text) == text) return false;
  std::fill_n(value, text.size(), '*');
  return true;
}

}  // namespace

void hide_store_arguments(int argc, char** argv) {
  bool was_seen = false;
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    const std::string_view word(argv[i]);
    if (word == kOption && i + 1 < argc) {
      was_seen |= hide(argv[i + 1]);
    } else if (word.starts_with("--store=")) {
      was_seen |= hide(argv[i] + kOption.size() + 1);
    }
  }
  if (!was_seen) return;
  complain(
      "--store holds a password, which other users could see in the list of processes (ps); use --store "
      "env:NAME, --store file:PATH, the configuration, or for PostgreSQL ~/.pgpass");
}

std::string resolve_store(const std::string& text) {
  if (text.starts_with(kFile)) return read_secret_file(text.substr(kFile.size()));
  if (!text.starts_with(kVariable)) return text;
  const std::string name = text.substr(kVariable.size());
  const char* const value = secure_getenv(name.c_str());
  if (value == nullptr || *value == '\0')
    throw UsageError(fmt::format("--store: the variable '{}' is not set; set it to the store's DSN", name));
  return value;
}

}  // namespace codewake::cli
