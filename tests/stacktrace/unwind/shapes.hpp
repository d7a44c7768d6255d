// Functions of every shape that a stack is walked through. Their source is compiled by each compiler, in
// several ways, into shared objects that the tests open.
#pragma once

namespace codewake::testing {

/// Called at the innermost point of a shape.
using Look = void (*)();

struct Shape {
  const char* name;
  void (*run)(Look look);
};

}  // namespace codewake::testing

/// Ends with an entry without a name.
extern "C" const codewake::testing::Shape* codewake_shapes();
