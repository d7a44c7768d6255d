// Findings that somebody has looked at, and accepted.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "codewake/analysis.hpp"

namespace codewake::cli {

/// The lines of a file, each `VERDICT PATTERN…`: a finding of that verdict (`*`: of any) is suppressed where
/// each of the patterns matches one of its places (`file:line`, with as many of the folders before as the
/// pattern has), variables or locks. `*` and `?` stand for any characters and for one. What follows a `#` is
/// a comment.
class Suppressions {
 public:
  Suppressions() = default;
  /// Throws UsageError, with the line's number, where it cannot be read or is not understood.
  explicit Suppressions(const std::string& file);

  /// Takes out what is suppressed; the result is how many were.
  std::size_t apply(std::vector<analysis::Finding>& findings);

  /// The lines that nothing matched, as they were written.
  std::vector<std::string> unused() const;

 private:
  struct Rule {
    std::string line, verdict;
    std::vector<std::string> patterns;
    bool is_used = false;
  };

  static bool matches(const Rule& rule, const analysis::Finding& finding);

  std::vector<Rule> rules_;
};

}  // namespace codewake::cli
