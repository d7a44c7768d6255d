// What is read of the texts of trace events.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace codewake::analysis {

/// How much of the clock stays the same while its execution takes steps: what precedes the number of steps in
/// its own component, which comes last. 0 where the last component is not the execution's.
std::size_t head_of_clock(std::string_view json, std::string_view execution) noexcept;

/// The strings of a JSON array; other things in it are left out.
std::vector<std::string> parse_names(std::string_view json);

/// The text of a member of a JSON object, at whatever depth, its key in any case; empty where there is none.
std::optional<std::string> find_text(std::string_view json, std::string_view key);

/// `old_value` and `new_value` of a state change's data, as JSON; empty where there is none.
std::pair<std::string, std::string> find_values(std::string_view data);

}  // namespace codewake::analysis
