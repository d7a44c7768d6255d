// What calls have in common that differ in ids and values.
#pragma once

#include <string>
#include <string_view>

namespace codewake::analysis {

/// Longer patterns are cut, so that what is kept of them is bounded.
inline constexpr std::size_t kMostPattern = 200;

/// `POST /orders/{}/items` of `POST http://shop:80/orders/17/items?page=2`, which is an HttpRequest's name:
/// the method and the path, in which numbers, UUIDs, and hexadecimal ids of 8 digits or more are `{}`.
/// Thread-safe.
std::string request_pattern(std::string_view method_and_url);

/// `shop:80` of the same; empty where the URL is but a path. Thread-safe.
std::string_view host_of_request(std::string_view method_and_url) noexcept;

/// `SELECT * FROM orders WHERE id = ? AND goods IN (?)` of a statement with values in it, on one line.
/// Thread-safe.
std::string statement_pattern(std::string_view statement);

/// `SELECT` of the same, in capitals; empty where it does not begin with a word. Thread-safe.
std::string statement_verb(std::string_view statement);

}  // namespace codewake::analysis
