// Digests, as Code Wake for Python computes them: SHA-256 over the bencoding of what is digested.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "codewake/attributes.hpp"
#include "codewake/export.hpp"
#include "codewake/frame.hpp"

namespace codewake {

/// A SHA-256 sum.
using Digest = std::array<std::uint8_t, 32>;

/// The digest of an event's data: SHA-256 of the bencoded list of `[key, value]` lists in the given order.
/// NULL, for which the older system has no form, is a list of the key alone. Thread-safe; about 0.2 µs for
/// three short pairs.
CODEWAKE_API Digest digest_of(std::span<const AttributeView> data);

/// The digest of a stack trace: SHA-256 of the bencoded list of `[filename, lineno, src]` lists, outermost
/// first. `frames` come innermost first, as everywhere in the API. Thread-safe.
CODEWAKE_API Digest digest_of(std::span<const Frame> frames);

/// 64 lower-case hexadecimal digits.
CODEWAKE_API std::string to_hex(const Digest& digest);

}  // namespace codewake
