#include "stacktrace/uncaught.hpp"

#include <exception>
#include <optional>
#include <typeinfo>

#include "codewake/stacktrace.hpp"
#include "stacktrace/crash_stack.hpp"
#include "stacktrace/exceptions.hpp"

namespace codewake::internal {
namespace {

// Memory may be what is short.
void note_exception(CrashPage& page, const std::exception_ptr& exception) noexcept {
  const ThrownObject thrown(exception);
  if (thrown.type() == nullptr) return;
  set_text(page.exception[0].type, thrown.type()->name());
  page.exception[0].message[0] = '\0';
  page.exceptions = 1;
  try {
    std::uint32_t count = 0;
    for (const ExceptionDescription& one : describe(exception)) {
      if (count == CrashPage::kMaxExceptions) break;
      set_text(page.exception[count].type, one.type);
      set_text(page.exception[count].message, one.message.value_or(""));
      page.exceptions = ++count;
    }
  } catch (...) {
    // What there is says the type, at least.
  }
}

}  // namespace

void describe_uncaught(CrashPage& page) noexcept {
  const std::exception_ptr exception = std::current_exception();
  std::optional<Stacktrace> stack = Stacktrace::thrown_at(exception);
  if (!stack || stack->empty()) stack = Stacktrace::current(Stacktrace::kMaxFrames);
  set_frames(stack->addresses().data(), stack->addresses().size(), page);
  note_exception(page, exception);
}

}  // namespace codewake::internal
