#include "stacktrace/exceptions.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "stacktrace/demangle.hpp"

namespace codewake::internal {
namespace {

std::optional<std::string> text_or_nothing(const char* text) {
  return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

std::optional<std::string> message_of(const ThrownObject& thrown) {
  if (const auto* exception = thrown.as<std::exception>()) return text_or_nothing(exception->what());
  if (const auto* exception = thrown.as_pointer<std::exception>()) return text_or_nothing(exception->what());
  if (const auto* text = thrown.as<std::string>()) return *text;
  if (const auto* text = thrown.as<std::string_view>()) return std::string(*text);
  return text_or_nothing(thrown.as_pointer<char>());
}

// std::throw_with_nested throws a class of its own that is derived from the given one: the given one is
// meant. So do Boost's ways to throw, which wrap each other.
constexpr std::array<std::string_view, 5> kWrappers = {
    "std::_Nested_exception<", "boost::wrapexcept<", "boost::exception_detail::clone_impl<",
    "boost::exception_detail::error_info_injector<",
    "boost::exception_detail::current_exception_std_exception_wrapper<"};

}  // namespace

std::string exception_type(const char* mangled) {
  const std::string name = demangle(mangled);
  std::string_view given = name;
  const auto is_wrapped_by = [&](std::string_view wrapper) {
    return given.starts_with(wrapper) && given.ends_with('>');
  };
  for (auto wrapper = kWrappers.begin();
       (wrapper = std::ranges::find_if(kWrappers, is_wrapped_by)) != kWrappers.end();) {
    given.remove_prefix(wrapper->size());
    given.remove_suffix(1);
    if (given.ends_with(' ')) given.remove_suffix(1);  // `a<b<c> >`
  }
  return std::string(given);
}

namespace {

std::string type_of(const std::type_info& type) {
  return exception_type(type.name());
}

std::exception_ptr cause_of(const std::nested_exception* nested) noexcept {
  return nested == nullptr ? nullptr : nested->nested_ptr();
}

// The result is its cause.
std::exception_ptr describe_one(const ThrownObject& thrown, std::vector<ExceptionDescription>& chain) {
  chain.push_back({type_of(*thrown.type()), message_of(thrown)});
  return cause_of(thrown.as<std::nested_exception>());
}

void describe_chain(std::exception_ptr exception, std::vector<ExceptionDescription>& chain) {
  while (exception != nullptr && chain.size() < kMaxExceptionChain) {
    exception = describe_one(ThrownObject(exception), chain);
  }
}

}  // namespace

ThrownObject::ThrownObject(const std::exception_ptr& exception) noexcept {
  static_assert(sizeof exception == sizeof address_);
  if (exception == nullptr) return;
  std::memcpy(&address_, &exception, sizeof address_);
  type_ = exception.__cxa_exception_type();
}

const void* ThrownObject::caught_by(const std::type_info& handler) const noexcept {
  if (type_ == nullptr) return nullptr;
  // As the runtime does it for a handler: of a thrown pointer the pointer is asked for, else the object's
  // address.
  void* object = type_->__is_pointer_p() ? *static_cast<void**>(address_) : address_;
  return handler.__do_catch(type_, &object, 1) ? object : nullptr;
}

std::vector<ExceptionDescription> describe(const std::exception& exception) {
  std::vector<ExceptionDescription> chain;
  chain.push_back({type_of(typeid(exception)), text_or_nothing(exception.what())});
  describe_chain(cause_of(dynamic_cast<const std::nested_exception*>(&exception)), chain);
  return chain;
}

std::vector<ExceptionDescription> describe(void* object, const std::type_info& type) {
  std::vector<ExceptionDescription> chain;
  describe_chain(describe_one(ThrownObject(object, type), chain), chain);
  return chain;
}

std::vector<ExceptionDescription> describe(const std::exception_ptr& exception) {
  std::vector<ExceptionDescription> chain;
  describe_chain(exception, chain);
  return chain;
}

}  // namespace codewake::internal
