// What can be said of an exception without rethrowing it. Rests on libstdc++, whose exception_ptr points at
// the object.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <typeinfo>
#include <vector>

namespace codewake::internal {

/// An exception's demangled type (of one from std::throw_with_nested, or one that Boost wraps to throw it,
/// that which was given to it), and its
/// text: what() of a std::exception, or the thrown text; bytes as they are.
struct ExceptionDescription {
  std::string type;
  std::optional<std::string> message;

  bool operator==(const ExceptionDescription&) const = default;
};

/// The type of an exception as it was given to be thrown, from `std::type_info::name()`.
std::string exception_type(const char* mangled);

/// No more causes than this are followed, so that a cycle ends.
constexpr std::size_t kMaxExceptionChain = 16;

/// Describes the exception, then its cause (std::nested_exception), that one's cause, and so on,
/// kMaxExceptionChain in all. Empty for a null pointer. Throws nothing but std::bad_alloc. Reentrant.
std::vector<ExceptionDescription> describe(const std::exception& exception);
std::vector<ExceptionDescription> describe(const std::exception_ptr& exception);
/// Of an object that is just being thrown.
std::vector<ExceptionDescription> describe(void* object, const std::type_info& type);

/// A thrown object of whatever type, borrowed from the exception_ptr that it was taken from, or whoever
/// throws it.
class ThrownObject {
 public:
  explicit ThrownObject(const std::exception_ptr& exception) noexcept;
  ThrownObject(void* object, const std::type_info& type) noexcept : address_(object), type_(&type) {}

  const void* address() const noexcept { return address_; }
  /// Null where there is no exception.
  const std::type_info* type() const noexcept { return type_; }

  /// The object as a handler `catch (const T&)` sees it, for a class T; null where such a handler would not
  /// take it.
  template <class T>
  const T* as() const noexcept {
    return static_cast<const T*>(caught_by(typeid(T)));
  }

  /// The same for `catch (const T*)`: the pointer that was thrown.
  template <class T>
  const T* as_pointer() const noexcept {
    return static_cast<const T*>(caught_by(typeid(const T*)));
  }

  /// Whether a handler for this class takes the object.
  bool is_caught_by(const std::type_info& handler) const noexcept { return caught_by(handler) != nullptr; }

 private:
  const void* caught_by(const std::type_info& handler) const noexcept;

  void* address_ = nullptr;
  const std::type_info* type_ = nullptr;
};

}  // namespace codewake::internal
