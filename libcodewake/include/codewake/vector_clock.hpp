// Which events can have caused which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/export.hpp"

namespace codewake {

/// How many steps of each execution are known to have come before, the own one included. Reentrant.
///
/// Of two events, e of execution p and f of another, e comes before f if f's clock has at least as many steps
/// of p as e's own: other components of e are not asked. Therefore a component that is missing can hide an
/// order, and never make one up, as long as an execution never loses its own.
class CODEWAKE_API VectorClock {
 public:
  /// Of others, more than this are not kept: those that were heard of longest ago go. With the own one, 64.
  static constexpr std::size_t kMaxOthers = 63;

  struct Component {
    std::string execution;
    std::uint64_t steps = 0;

    bool operator==(const Component&) const = default;
  };

  VectorClock() = default;
  explicit VectorClock(std::string own_execution) : own_{std::move(own_execution), 0} {}

  const Component& own() const noexcept { return own_; }
  /// The one that was heard of last comes last.
  const std::vector<Component>& others() const noexcept { return others_; }
  /// 0 where nothing is known of it.
  std::uint64_t steps_of(std::string_view execution) const noexcept;

  /// One step of the own execution; the result is its number.
  std::uint64_t tick() noexcept { return ++own_.steps; }

  /// What another execution knew when it sent, ended or let go comes before from here on. What is said of the
  /// own execution is left out: nobody knows more of it. The result says whether anything was new.
  bool merge(std::span<const Component> said);
  bool merge(std::vector<Component>&& said);
  bool merge(const VectorClock& said);

 private:
  template <class Said>
  bool learn(Said&& said);

  Component own_;
  std::vector<Component> others_;
};

}  // namespace codewake
