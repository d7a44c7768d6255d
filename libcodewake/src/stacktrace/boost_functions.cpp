#include "stacktrace/boost_functions.hpp"

// Each of these would make Boost fork a program, link a library, or do nothing.
#if defined(BOOST_STACKTRACE_USE_ADDR2LINE) || defined(BOOST_STACKTRACE_USE_BACKTRACE) || \
    defined(BOOST_STACKTRACE_USE_NOOP) || defined(BOOST_STACKTRACE_LINK) ||               \
    defined(BOOST_STACKTRACE_DYN_LINK) || defined(BOOST_ALL_DYN_LINK)
#error "build libcodewake without BOOST_STACKTRACE_…: it uses Boost.Stacktrace header-only"
#endif

#include <boost/stacktrace/frame.hpp>
#include <boost/stacktrace/safe_dump_to.hpp>
#include <cstddef>

namespace codewake::internal {

int unwind_by_boost(void** addresses, int size) noexcept {
  const std::size_t written =
      boost::stacktrace::safe_dump_to(addresses, sizeof *addresses * static_cast<std::size_t>(size));
  return written == 0 ? 0 : static_cast<int>(written - 1);  // without the null
}

std::string exported_function_at(const void* address) {
  return boost::stacktrace::frame(address).name();
}

}  // namespace codewake::internal
