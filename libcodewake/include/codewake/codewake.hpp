// All that a program needs; for coroutines there is trace_coroutine.hpp, for cpp-httplib httplib_tracing.hpp
// besides. For adapters: store.hpp, plugin.hpp; for their tests: testing/store_conformance.hpp.
#pragma once

#include "codewake/attributes.hpp"   // IWYU pragma: export
#include "codewake/config.hpp"       // IWYU pragma: export
#include "codewake/errors.hpp"       // IWYU pragma: export
#include "codewake/event.hpp"        // IWYU pragma: export
#include "codewake/process.hpp"      // IWYU pragma: export
#include "codewake/queue_store.hpp"  // IWYU pragma: export
#include "codewake/records.hpp"      // IWYU pragma: export
#include "codewake/recovery.hpp"     // IWYU pragma: export
#include "codewake/stacktrace.hpp"   // IWYU pragma: export
#include "codewake/store.hpp"        // IWYU pragma: export
#include "codewake/throw_hook.hpp"   // IWYU pragma: export
#include "codewake/time.hpp"         // IWYU pragma: export
#include "codewake/version.hpp"      // IWYU pragma: export

// Values of trace events are JSON: with nlohmann's library (nlohmann-json3-dev) a program can trace.
#if __has_include(<nlohmann/json.hpp>)
#include "codewake/trace_tasks.hpp"  // IWYU pragma: export
#include "codewake/traced.hpp"       // IWYU pragma: export
#include "codewake/tracing.hpp"      // IWYU pragma: export
#endif
