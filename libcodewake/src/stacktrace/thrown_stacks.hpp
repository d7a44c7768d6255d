// The stacks of the exceptions that are alive, by the address of the exception object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace codewake::internal {

/// What destroys an exception object, as the compiler passes it to __cxa_throw; may be null.
using ExceptionDestructor = void (*)(void* object);

/// Keeps the stack of a new exception object together with its destructor, and the epoch of modules
/// (loaded_modules.hpp). A stack that an object at this address left behind is replaced. False
/// where there is no memory: then nothing is kept. Thread-safe.
bool keep_thrown_stack(const void* object, ExceptionDestructor destructor, std::span<void* const> addresses,
                       std::uint32_t epoch) noexcept;

/// Drops what is kept for the object. The result is its destructor; null where it has none. Thread-safe.
ExceptionDestructor drop_thrown_stack(const void* object) noexcept;

struct ThrownStack {
  std::size_t size;
  std::uint32_t epoch;
};

/// Copies the stack that is kept for the object, as far as there is room; `size` is its length. Empty where
/// none is kept. Thread-safe.
std::optional<ThrownStack> find_thrown_stack(const void* object, std::span<void*> addresses) noexcept;

/// How many are kept. Thread-safe; exact while no exception is thrown or destroyed.
std::size_t count_thrown_stacks() noexcept;

/// Makes the table safe to use in the child of a fork() while other threads throw. Once is enough, more does
/// no harm.
void guard_thrown_stacks_at_fork() noexcept;

}  // namespace codewake::internal
