// What a Raceway server wants to know of each kind of event, and where it comes from: the table of README.md.
#pragma once

#include <span>
#include <string_view>

#include "codewake/trace_event.hpp"

namespace codewake::internal {

enum class FieldType {
  any,      ///< JSON of any kind; null where there is none
  text,     ///< a string
  u16,      ///< a whole number from 0 to 65,535
  u64,      ///< a whole number from 0 to 2^64 - 1
  uuid,     ///< a string: groups of 8, 4, 4, 4 and 12 hexadecimal digits
  headers,  ///< an object of strings
  texts     ///< an array of strings
};

enum class FieldSource {
  name,      ///< the event's name
  ordering,  ///< the same, which must be that of a memory order
  access,    ///< the event's access
  location,  ///< `file:line`, or `unknown:0`
  file,      ///< or `unknown`
  line,
  data  ///< the member of this name in the event's data
};

struct KindField {
  std::string_view name;
  FieldSource source = FieldSource::data;
  FieldType type = FieldType::text;  ///< of what comes from the data
};

struct KindShape {
  /// The server's name of it.
  std::string_view name;
  /// Empty, or the name of the Custom event that it goes as, its fields being the data.
  std::string_view custom = {};
  std::span<const KindField> fields = {};
  bool has_location = false;  ///< one of the fields says where in the source it was
};

/// Null for a number that is no kind.
const KindShape* shape_of(TraceKind kind) noexcept;

/// Whether it is `Relaxed`, `Acquire`, `Release`, `AcqRel` or `SeqCst`.
bool is_memory_order(std::string_view name) noexcept;

}  // namespace codewake::internal
