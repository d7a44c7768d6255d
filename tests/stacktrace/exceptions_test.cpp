#include "stacktrace/exceptions.hpp"

#include <doctest/doctest.h>

#include <boost/exception/all.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

using codewake::internal::describe;
using codewake::internal::ExceptionDescription;
using codewake::internal::kMaxExceptionChain;

namespace shop {

struct Error : std::runtime_error {
  using runtime_error::runtime_error;
};

// The std::exception is not at the beginning of the object.
struct Tagged {
  virtual ~Tagged() = default;
  int tag = 7;
};
struct TaggedError : Tagged, Error {
  using Error::Error;
};

struct Silent : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

struct PrivateError : private std::runtime_error {
  PrivateError() : std::runtime_error("hidden") {}
};

struct Plain {};

}  // namespace shop

namespace {

std::vector<ExceptionDescription> describe_thrown(const std::function<void()>& thrower) {
  try {
    thrower();
  } catch (...) {
    return describe(std::current_exception());
  }
  FAIL("nothing was thrown");
  return {};
}

using Descriptions = std::vector<ExceptionDescription>;

}  // namespace

TEST_CASE("A std::exception is described by its dynamic type and what()") {
  const shop::Error error("no stock");
  const std::exception& base = error;
  CHECK(describe(base) == Descriptions{{"shop::Error", "no stock"}});
  CHECK(describe_thrown([] { throw shop::Error("no stock"); }) == Descriptions{{"shop::Error", "no stock"}});
  CHECK(describe(std::make_exception_ptr(shop::Error("made"))) == Descriptions{{"shop::Error", "made"}});
  CHECK(describe_thrown([] { throw shop::TaggedError("tagged"); }) ==
        Descriptions{{"shop::TaggedError", "tagged"}});
  CHECK(describe(shop::TaggedError("tagged")) == Descriptions{{"shop::TaggedError", "tagged"}});
  CHECK(describe(std::system_error(std::make_error_code(std::errc::timed_out))).front().type ==
        "std::system_error");
}

TEST_CASE("A message that is a null pointer is none, and bytes are passed as they are") {
  CHECK(describe(shop::Silent()) == Descriptions{{"shop::Silent", std::nullopt}});
  CHECK(describe_thrown([] { throw shop::Silent(); }) == Descriptions{{"shop::Silent", std::nullopt}});
  CHECK(describe(shop::Error("\xff\xfe")).front().message == "\xff\xfe");
}

TEST_CASE("Thrown text is the message") {
  using namespace std::string_literals;
  CHECK(describe_thrown([] { throw "literal"; }) == Descriptions{{"char const*", "literal"}});
  char buffer[] = "buffer";
  CHECK(describe_thrown([&] { throw static_cast<char*>(buffer); }) == Descriptions{{"char*", "buffer"}});
  CHECK(describe_thrown([] { throw "a\0b"s; }).front().message == "a\0b"s);
  CHECK(describe_thrown([] { throw std::string_view("view"); }).front().message == "view");
  CHECK(describe_thrown([] { throw static_cast<const char*>(nullptr); }) ==
        Descriptions{{"char const*", std::nullopt}});
}

TEST_CASE("What has no text has a type and no message") {
  CHECK(describe_thrown([] { throw 42; }) == Descriptions{{"int", std::nullopt}});
  CHECK(describe_thrown([] { throw shop::Plain(); }) == Descriptions{{"shop::Plain", std::nullopt}});
  CHECK(describe_thrown([] { throw nullptr; }) == Descriptions{{"decltype(nullptr)", std::nullopt}});
  CHECK(describe_thrown([] { throw shop::PrivateError(); }) ==
        Descriptions{{"shop::PrivateError", std::nullopt}});
}

TEST_CASE("An exception thrown as a pointer has the pointer's type and the message of what it points at") {
  const auto error = std::make_unique<shop::TaggedError>("pointed at");
  CHECK(describe_thrown([&] { throw error.get(); }) == Descriptions{{"shop::TaggedError*", "pointed at"}});
  const shop::Error* constant = error.get();
  CHECK(describe_thrown([&] { throw constant; }) == Descriptions{{"shop::Error const*", "pointed at"}});
  CHECK(describe_thrown([] { throw static_cast<shop::Error*>(nullptr); }) ==
        Descriptions{{"shop::Error*", std::nullopt}});
}

TEST_CASE("An exception that Boost wraps to throw it has the type that was given") {
  const Descriptions expected = {{"shop::Error", "late"}};
  CHECK(describe_thrown([] { throw boost::enable_error_info(shop::Error("late")); }) == expected);
  CHECK(describe_thrown([] { boost::throw_exception(shop::Error("late")); }) == expected);
  const auto rethrow = [] {
    try {
      throw boost::enable_current_exception(boost::enable_error_info(shop::Error("late")));
    } catch (...) {
      boost::rethrow_exception(boost::current_exception());
    }
  };
  CHECK(describe_thrown(rethrow) == expected);
}

TEST_CASE("Nested exceptions follow, outermost first") {
  const auto nest = [] {
    try {
      try {
        throw "cause";
      } catch (...) {
        std::throw_with_nested(shop::Error("middle"));
      }
    } catch (...) {
      std::throw_with_nested(std::logic_error("outer"));
    }
  };
  const Descriptions expected = {
      {"std::logic_error", "outer"}, {"shop::Error", "middle"}, {"char const*", "cause"}};
  CHECK(describe_thrown(nest) == expected);
  try {
    nest();
  } catch (const std::exception& exception) {
    CHECK(describe(exception) == expected);
  }
}

TEST_CASE("A chain of causes ends after so many") {
  std::exception_ptr chain = std::make_exception_ptr(1);
  for (std::size_t i = 0; i < 2 * kMaxExceptionChain; ++i) {
    try {
      std::rethrow_exception(chain);
    } catch (...) {
      chain = std::make_exception_ptr(std::nested_exception());
    }
  }
  CHECK(describe(chain).size() == kMaxExceptionChain);
}

TEST_CASE("A null pointer is no exception") {
  CHECK(describe(std::exception_ptr()).empty());
}
