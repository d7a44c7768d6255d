// One event on one line of JSON, as `codewake log --stdin` reads them.
#pragma once

#include <stdexcept>
#include <string_view>
#include <vector>

#include "codewake/attributes.hpp"

namespace codewake::cli {

/// A line that is no event; `what()` says why.
class EventLineError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Reads `{"event": "order", "amount": 12.5, "vip": true, "coupon": null}`, or the same as pairs,
/// `[["event", "order"], …]`. Order is kept, and so are keys that repeat, in both forms. Values are text,
/// numbers (written as `Process::log` writes them), bools, and null. Throws EventLineError.
std::vector<Attribute> parse_event_line(std::string_view line);

}  // namespace codewake::cli
