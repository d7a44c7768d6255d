// The same as stacktrace/uncaught.cpp for a program that may have any C++ runtime, or none: what is needed of
// it is looked up. Of a runtime other than libstdc++ only types are read, for its objects have other virtual
// functions.
#include "stacktrace/uncaught.hpp"

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>
#include <typeinfo>

#include "codewake/stacktrace.hpp"
#include "stacktrace/crash_stack.hpp"
#include "stacktrace/next_function.hpp"
#include "stacktrace/thrown_stacks.hpp"
#include "watch/throws.hpp"

namespace codewake::internal {
namespace {

/// As std::exception_ptr lies in memory: of the same kind to a caller. It is never released: the program
/// ends.
struct ThrownPointer {
  void* object = nullptr;
  ThrownPointer() noexcept {}
  ~ThrownPointer() {}
};

/// A type as both runtimes have it in memory.
struct TypeInMemory {
  void* const* virtual_functions;
  const char* name;
};

template <class Function>
Function runtime_function(const char* name) noexcept {
  return reinterpret_cast<Function>(find_next_function(name));
}

const void* module_of(const void* address) noexcept {
  Dl_info info{};
  return dladdr(address, &info) == 0 ? nullptr : info.dli_fbase;
}

const char* name_of(const std::type_info* type) noexcept {
  const char* const name = reinterpret_cast<const TypeInMemory*>(type)->name;
  return *name == '*' ? name + 1 : name;
}

/// An exception that is alive.
struct Thrown {
  void* object = nullptr;
  const std::type_info* type = nullptr;
};

Thrown current() noexcept {
  using TypeFunction = std::type_info* (*)();
  Thrown thrown;
  if (const auto type = runtime_function<TypeFunction>("__cxa_current_exception_type")) thrown.type = type();
  if (thrown.type == nullptr) return {};
  if (const auto primary = runtime_function<void* (*)()>("__cxa_current_primary_exception")) {
    thrown.object = primary();
  } else if (const auto pointer = runtime_function<ThrownPointer (*)()>("_ZSt17current_exceptionv")) {
    thrown.object = pointer().object;
  }
  return thrown;
}

/// Reads objects of libstdc++, where the type is one of its.
class Reader {
 public:
  explicit Reader(const std::type_info* type) noexcept {
    const void* const own = find_next_function("_ZNKSt9type_info10__do_catchEPKS_PPvj");
    const auto& in_memory = *reinterpret_cast<const TypeInMemory*>(type);
    if (own == nullptr || module_of(own) != module_of(in_memory.virtual_functions[0])) return;
    exception_ = static_cast<const std::type_info*>(find_next_function("_ZTISt9exception"));
    nested_ = static_cast<const std::type_info*>(find_next_function("_ZTISt16nested_exception"));
    type_of_ = runtime_function<TypeOf>("_ZNKSt15__exception_ptr13exception_ptr20__cxa_exception_typeEv");
  }

  /// Empty where there is none.
  std::string_view message(const Thrown& thrown) const noexcept {
    if (exception_ == nullptr) return {};
    if (const void* const exception = as(thrown, *exception_))
      return text_or_nothing(static_cast<const std::exception*>(exception)->what());
    const std::string_view type = name_of(thrown.type);
    if (type == "PKc" || type == "Pc") return text_or_nothing(*static_cast<const char**>(thrown.object));
    if (type == "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE") {
      struct Text {
        const char* data;
        std::size_t size;
      };
      const auto& text = *static_cast<const Text*>(thrown.object);
      return {text.data, text.size};
    }
    return {};
  }

  Thrown cause(const Thrown& thrown) const noexcept {
    if (nested_ == nullptr || type_of_ == nullptr) return {};
    struct Nested {
      void* virtual_functions;
      void* object;
    };
    const auto* const nested = static_cast<const Nested*>(as(thrown, *nested_));
    if (nested == nullptr || nested->object == nullptr) return {};
    return {nested->object, type_of_(&nested->object)};
  }

 private:
  using TypeOf = const std::type_info* (*)(void* const* pointer);

  static std::string_view text_or_nothing(const char* text) noexcept {
    return text == nullptr ? std::string_view() : std::string_view(text);
  }

  // As the runtime does it for a handler.
  static const void* as(const Thrown& thrown, const std::type_info& handler) noexcept {
    void* object = thrown.object;
    if (thrown.type->__is_pointer_p()) return nullptr;
    return handler.__do_catch(thrown.type, &object, 1) ? object : nullptr;
  }

  const std::type_info* exception_ = nullptr;
  const std::type_info* nested_ = nullptr;
  TypeOf type_of_ = nullptr;
};

}  // namespace

void describe_uncaught(CrashPage& page) noexcept {
  const Thrown thrown = current();
  void* addresses[Stacktrace::kMaxFrames];
  std::size_t frames = 0;
  if (thrown.object != nullptr) {
    if (const auto stack = find_thrown_stack(thrown.object, addresses)) frames = stack->size;
  }
  if (frames == 0) frames = capture_here(addresses);
  set_frames(addresses, frames, page);
  if (thrown.type == nullptr) return;
  page.has_mangled_types = 1;
  const Reader reader(thrown.type);
  Thrown next = thrown;
  for (std::uint32_t count = 0; count < CrashPage::kMaxExceptions && next.type != nullptr; ++count) {
    set_text(page.exception[count].type, name_of(next.type));
    page.exception[count].message[0] = '\0';
    page.exceptions = count + 1;
    if (next.object == nullptr) return;
    set_text(page.exception[count].message, reader.message(next));
    next = reader.cause(next);
  }
}

}  // namespace codewake::internal
