// The rules about includes, of which layer may use which, and how large a file may be.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace codewake::testing {

/// One `#include` of a file.
struct Include {
  std::string path;
  bool quoted = false;  ///< "…", not <…>
  std::size_t line = 0;

  bool operator==(const Include&) const = default;
};

/// The includes of a source, in their order.
std::vector<Include> includes_of(std::string_view text);

/// What is against the rules in one source; empty where nothing is. `file` is relative to the project's
/// folder and says to which layer it belongs; `own` are the paths by which files of its own folder can be
/// included.
std::vector<std::string> violations(const std::filesystem::path& file, std::string_view text,
                                    const std::vector<std::string>& own);

/// The public headers that the table of layers names, without folder and suffix: all but those of testing/.
std::vector<std::string> known_public_headers();

/// No source is longer, in lines.
inline constexpr std::size_t kMaxLines = 600;

}  // namespace codewake::testing
