#include "unwind/walks.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>

#include "stacktrace/unwind/stack_walk.hpp"

namespace codewake::testing {
namespace {

_Unwind_Reason_Code add(_Unwind_Context* context, void* data) {
  auto& walks = *static_cast<TwoWalks*>(data);
  int is_interrupted = 0;
  const std::uintptr_t address = _Unwind_GetIPInfo(context, &is_interrupted);
  if (address == 0 || walks.their_size == TwoWalks::kMost) return _URC_END_OF_STACK;
  walks.theirs[walks.their_size++] = address + (is_interrupted != 0 ? 1 : 0);
  return _URC_NO_REASON;
}

std::string name_of(std::uintptr_t address) {
  Dl_info info{};
  char text[300];
  dladdr(reinterpret_cast<void*>(address - 1), &info);
  std::snprintf(text, sizeof text, "%#zx %s %s", address, info.dli_sname == nullptr ? "?" : info.dli_sname,
                info.dli_fname == nullptr ? "?" : info.dli_fname);
  return text;
}

}  // namespace

[[gnu::noinline]] void TwoWalks::walk(bool quickly) noexcept {
  using namespace internal;
  our_size = their_size = 0;
  const Registers here = registers_here();
  const auto add_ours = [this](std::uintptr_t address) {
    ours[our_size++] = address;
    return kMost - our_size;
  };
  if (quickly) {
    walk_stack(here, add_ours);
  } else {
    StackWalk walk(here, StackWalk::Need::all_registers);
    while (add_ours(walk.address()) != 0 && walk.step() == StackWalk::Step::caller) {
    }
  }
  _Unwind_Backtrace(&add, this);
}

bool TwoWalks::agree() const noexcept {
  return our_size == their_size && agree_as_far_as_theirs();
}

bool TwoWalks::agree_as_far_as_theirs() const noexcept {
  return their_size > 1 && our_size >= their_size && std::equal(theirs + 1, theirs + their_size, ours + 1);
}

std::string TwoWalks::text() const {
  std::string text;
  for (std::size_t i = 0; i < std::max(our_size, their_size); ++i) {
    const std::uintptr_t a = i < our_size ? ours[i] : 0, b = i < their_size ? theirs[i] : 0;
    text += (a == b ? "  " : "! ") + name_of(a);
    if (a != b) text += "   instead of " + name_of(b);
    text += '\n';
  }
  return text;
}

}  // namespace codewake::testing
