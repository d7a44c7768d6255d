// What servers can, by their versions as libpq counts them.
#pragma once

namespace codewake::internal {

/// Knows plan_cache_mode. One before it decides by itself whether a plan is made for the arguments.
inline constexpr int kFirstToPlanOnce = 120'000;

}  // namespace codewake::internal
