// What is done as the library is loaded, by the program's first thread: a signal handler must not be the
// first to look a function up.
#include "stacktrace/alternate_stack.hpp"
#include "stacktrace/crash_handler.hpp"
#include "stacktrace/fault_mask.hpp"
#include "stacktrace/jump_hook.hpp"

namespace codewake::internal {

[[maybe_unused]] const bool done_at_load = [] {
  provide_alternate_stack();
  set_real_mask(SIG_BLOCK, nullptr, nullptr);
  find_jumps();
  find_exit();
  return true;
}();

}  // namespace codewake::internal
