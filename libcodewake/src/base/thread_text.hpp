// The thread's name for people and for other systems.
#pragma once

#include <string_view>

namespace codewake::internal {

/// `<pid>-<tid>`, of the calling thread, also after a fork(). Valid until the thread ends or forks.
std::string_view thread_text() noexcept;

}  // namespace codewake::internal
