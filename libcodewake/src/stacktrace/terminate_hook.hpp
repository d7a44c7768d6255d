// std::terminate: ours in the runtime, the program's handler in a variable. `std::set_terminate` is replaced
// for that, as `sigaction` is. `std::get_terminate` is not: the runtime asks it whom to call.
#pragma once

namespace codewake::internal {

/// Has `record` called when the program terminates; then the program's own handler is. Null: nothing more is
/// called. Does nothing where there is no C++ runtime yet: then it may be called again. Thread-safe.
void take_terminate(void (*record)() noexcept) noexcept;

}  // namespace codewake::internal
