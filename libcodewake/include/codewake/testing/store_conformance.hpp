// The conformance suite: what every store must do, as doctest cases. An adapter's test includes this one
// header and says how to make its store:
//
//     #include "codewake/testing/store_conformance.hpp"
//
//     CODEWAKE_STORE_CONFORMANCE("SqliteStore in a file", [] {
//       auto folder = std::make_shared<TemporaryFolder>();
//       return codewake::testing::Storage{
//           .open = [folder] { return std::make_shared<SqliteStore>(database_in(*folder)); }};
//     })
//
// The factory is called once for each case and gives fresh, empty storage; `Storage`
// (conformance_support.hpp) also says in what a store may differ. The name must be a string literal: every
// case begins with it. One executable may instantiate the suite for any number of stores. Needs doctest and
// libcodewake, and doctest's main from elsewhere.
//
// The checks are in six files, by what they look at: conformance_records.hpp and conformance_attributes.hpp
// (what goes in comes out), conformance_queries.hpp (what is found, in which order),
// conformance_batches.hpp (all or nothing, positions, threads, several clients, life),
// conformance_retention.hpp (what goes when it is old, and what stays), conformance_frames.hpp (frames that
// are resolved later) and conformance_traces.hpp (trace events, where the store keeps them).
#pragma once

#include <doctest/doctest.h>

#include "codewake/testing/conformance_attributes.hpp"
#include "codewake/testing/conformance_batches.hpp"
#include "codewake/testing/conformance_frames.hpp"
#include "codewake/testing/conformance_queries.hpp"
#include "codewake/testing/conformance_records.hpp"
#include "codewake/testing/conformance_retention.hpp"
#include "codewake/testing/conformance_support.hpp"
#include "codewake/testing/conformance_traces.hpp"

/// Adds the whole suite for one store to a test executable. At namespace scope. `name`: a string literal. The
/// second argument: a callable without parameters that returns a codewake::testing::Storage.
#define CODEWAKE_STORE_CONFORMANCE(name, ...) \
  CODEWAKE_STORE_CONFORMANCE_FOR(name, DOCTEST_ANONYMOUS(codewake_conformance_storage_), __VA_ARGS__)

#define CODEWAKE_STORE_CONFORMANCE_CASE(store, storage, sentence, check) \
  DOCTEST_TEST_CASE(store ": " sentence) {                               \
    ::codewake::testing::conformance::check(storage());                  \
  }

#define CODEWAKE_STORE_CONFORMANCE_FOR(store, storage, ...) \
  static ::codewake::testing::Storage storage() {           \
    return (__VA_ARGS__)();                                 \
  }                                                         \
  CODEWAKE_STORE_CONFORMANCE_EVERY(CODEWAKE_STORE_CONFORMANCE_CASE, store, storage)

/// Expands CASE(store, storage, sentence, check) for every check.
#define CODEWAKE_STORE_CONFORMANCE_EVERY(CASE, store, storage) \
  CODEWAKE_STORE_CONFORMANCE_RECORDS(CASE, store, storage)     \
  CODEWAKE_STORE_CONFORMANCE_ATTRIBUTES(CASE, store, storage)  \
  CODEWAKE_STORE_CONFORMANCE_QUERIES(CASE, store, storage)     \
  CODEWAKE_STORE_CONFORMANCE_BATCHES(CASE, store, storage)     \
  CODEWAKE_STORE_CONFORMANCE_RETENTION(CASE, store, storage)   \
  CODEWAKE_STORE_CONFORMANCE_FRAMES(CASE, store, storage)      \
  CODEWAKE_STORE_CONFORMANCE_TRACES(CASE, store, storage)

#define CODEWAKE_STORE_CONFORMANCE_RECORDS(CASE, store, storage)                                          \
  CASE(store, storage, "an app is found again under the same id", app_is_found_again)                     \
  CASE(store, storage, "a version belongs to its app", version_belongs_to_its_app)                        \
  CASE(store, storage, "an empty version counts as none", empty_version_is_none)                          \
  CASE(store, storage, "apps and versions are listed in the order of their ids",                          \
       apps_and_versions_are_listed)                                                                      \
  CASE(store, storage, "an unknown id gives nothing", unknown_id_gives_nothing)                           \
  CASE(store, storage, "a process keeps every field", process_keeps_every_field)                          \
  CASE(store, storage, "a process needs no optional field", process_without_optional_fields)              \
  CASE(store, storage, "processes share app, version and environment",                                    \
       processes_share_app_version_and_environment)                                                       \
  CASE(store, storage, "an event is stored with and without sync", event_is_stored_with_and_without_sync) \
  CASE(store, storage, "an event without a process goes to the one recorded last",                        \
       event_goes_to_the_process_recorded_last)                                                           \
  CASE(store, storage, "a time is kept to the microsecond", time_is_kept_to_the_microsecond)              \
  CASE(store, storage, "a time that is not given is now", time_defaults_to_now)                           \
  CASE(store, storage, "frames keep their order and every field", frames_keep_order_and_every_field)      \
  CASE(store, storage, "equal stacks share an id and others do not", equal_stacks_share_an_id)            \
  CASE(store, storage, "a stack without frames is not the same as none", empty_stack_is_not_none)         \
  CASE(store, storage, "a stack of the greatest depth is kept", deepest_stack_is_kept)

#define CODEWAKE_STORE_CONFORMANCE_ATTRIBUTES(CASE, store, storage)                                      \
  CASE(store, storage, "attributes keep their order, and keys may repeat",                               \
       attributes_keep_order_and_repeated_keys)                                                          \
  CASE(store, storage, "NULL is not an empty value", null_is_not_empty)                                  \
  CASE(store, storage, "no data is not an empty list", no_data_is_not_an_empty_list)                     \
  CASE(store, storage, "a digest is what the older system computes", digest_is_the_older_system_s)       \
  CASE(store, storage, "values of every type become text", values_of_every_type_become_text)             \
  CASE(store, storage, "values of a megabyte and a thousand attributes are kept", large_events_are_kept) \
  CASE(store, storage, "every plane of Unicode is kept", every_plane_of_unicode_is_kept)                 \
  CASE(store, storage, "text is not normalized", text_is_not_normalized)                                 \
  CASE(store, storage, "text that is not UTF-8 is made fit", bad_text_is_made_fit)                       \
  CASE(store, storage, "names and frames that are not UTF-8 are made fit",                               \
       bad_text_of_names_and_frames_is_made_fit)                                                         \
  CASE(store, storage, "text that means something to SQL is only text", awkward_text_is_only_text)

#define CODEWAKE_STORE_CONFORMANCE_QUERIES(CASE, store, storage)                                       \
  CASE(store, storage, "events are found by one, two and three terms", events_are_found_by_terms)      \
  CASE(store, storage, "repeated terms must each match", repeated_terms_must_each_match)               \
  CASE(store, storage, "a NULL term matches NULL only", null_term_matches_null_only)                   \
  CASE(store, storage, "events are found by their process", events_are_found_by_process)               \
  CASE(store, storage, "each filter of get_events works alone", each_filter_of_get_events_works_alone) \
  CASE(store, storage, "filters of get_events work together", filters_of_get_events_work_together)     \
  CASE(store, storage, "a time range includes its start and not its end",                              \
       time_range_is_from_inclusive_to_exclusive)                                                      \
  CASE(store, storage, "events come newest first, ties by id", events_come_newest_first)               \
  CASE(store, storage, "a limit is the most that a page has", limit_is_the_most_of_a_page)             \
  CASE(store, storage, "a bad cursor is rejected", bad_cursor_is_rejected)                             \
  CASE(store, storage, "ten thousand events are paged, each once and in order",                        \
       ten_thousand_events_are_paged)                                                                  \
  CASE(store, storage, "paging is not disturbed by new events", paging_is_not_disturbed_by_new_events) \
  CASE(store, storage, "processes are found by app and time", processes_are_found_by_app_and_time)     \
  CASE(store, storage, "exceptions are grouped by stack and type", exceptions_are_grouped)             \
  CASE(store, storage, "exceptions are counted within time, app and environment", exceptions_are_filtered)

#define CODEWAKE_STORE_CONFORMANCE_BATCHES(CASE, store, storage)                                             \
  CASE(store, storage, "an empty batch does nothing", empty_batch_does_nothing)                              \
  CASE(store, storage, "a batch may be of several processes, new and known", batch_of_several_processes)     \
  CASE(store, storage, "a batch of an unknown process is refused whole",                                     \
       batch_of_an_unknown_process_is_refused_whole)                                                         \
  CASE(store, storage, "a batch that fails halfway leaves nothing", batch_that_fails_halfway_leaves_nothing) \
  CASE(store, storage, "an event of an unknown process is rejected",                                         \
       event_of_an_unknown_process_is_rejected)                                                              \
  CASE(store, storage, "positions are stored with their batch", positions_are_stored_with_the_batch)         \
  CASE(store, storage, "a storage that was replaced is noticed by its positions",                            \
       a_replaced_storage_is_noticed)                                                                        \
  CASE(store, storage, "positions are listed and forgotten by prefix",                                       \
       positions_are_listed_and_forgotten_by_prefix)                                                         \
  CASE(store, storage, "eight threads write and read at once", eight_threads_at_once)                        \
  CASE(store, storage, "eight threads write and read at once through two clients",                           \
       eight_threads_over_two_clients)                                                                       \
  CASE(store, storage, "eight threads insert the same app at once", eight_threads_insert_the_same_app)       \
  CASE(store, storage, "two clients see each other's writes", two_clients_see_each_other_s_writes)           \
  CASE(store, storage, "everything is there after reopening", everything_is_there_after_reopening)           \
  CASE(store, storage, "flush says that all is stored", flush_says_that_all_is_stored)                       \
  CASE(store, storage, "nothing is taken after shutdown", nothing_is_taken_after_shutdown)

#define CODEWAKE_STORE_CONFORMANCE_RETENTION(CASE, store, storage)                                \
  CASE(store, storage, "old events are removed in slices, the oldest first",                      \
       old_events_are_removed_in_slices)                                                          \
  CASE(store, storage, "a stack trace stays as long as an event refers to it",                    \
       stacktrace_stays_while_referred_to)                                                        \
  CASE(store, storage, "old processes are removed that have neither events nor a journal",        \
       old_processes_without_events_are_removed)                                                  \
  CASE(store, storage, "counting what is old says what removing it will do, and changes nothing", \
       counting_says_what_removing_does)                                                          \
  CASE(store, storage, "what was removed is not found, whatever came after it",                   \
       removed_events_are_not_found)                                                              \
  CASE(store, storage, "events are removed beside a writer of the same stacks",                   \
       events_are_removed_beside_a_writer)

#define CODEWAKE_STORE_CONFORMANCE_FRAMES(CASE, store, storage)                                              \
  CASE(store, storage, "unresolved stack traces are listed by their ids", unresolved_stacktraces_are_listed) \
  CASE(store, storage, "replaced frames are of the same stack trace",                                        \
       replaced_frames_are_of_the_same_stacktrace)                                                           \
  CASE(store, storage, "stack traces that become equal are merged", equal_stacktraces_are_merged)            \
  CASE(store, storage, "a stack trace that is another by now is passed over",                                \
       stacktraces_that_changed_are_passed_over)                                                             \
  CASE(store, storage, "frames are replaced beside a writer of the same stacks",                             \
       frames_are_replaced_beside_a_writer)

#define CODEWAKE_STORE_CONFORMANCE_TRACES(CASE, store, storage)                                            \
  CASE(store, storage, "a trace event keeps every field", trace_event_keeps_every_field)                   \
  CASE(store, storage, "whatever a trace event's texts say is only text", trace_event_texts_are_only_text) \
  CASE(store, storage, "trace events are found by trace, variable and time",                               \
       trace_events_are_found_by_trace_variable_and_time)                                                  \
  CASE(store, storage, "trace events are paged, oldest first", trace_events_are_paged_oldest_first)        \
  CASE(store, storage, "traces are summed up, the latest first", traces_are_summed_up)                     \
  CASE(store, storage, "the newest traces are found among many, and behind a large one",                   \
       newest_traces_are_found_among_many)                                                                 \
  CASE(store, storage, "an event keeps the trace that it was logged in", event_keeps_its_trace)            \
  CASE(store, storage, "events of a trace come oldest first", events_of_a_trace_come_oldest_first)         \
  CASE(store, storage, "trace events are stored with their batch, or not at all",                          \
       trace_events_are_stored_with_their_batch)                                                           \
  CASE(store, storage, "a single trace event is stored, of the process recorded last",                     \
       single_trace_event_is_stored)                                                                       \
  CASE(store, storage, "old trace events are removed after old events", old_trace_events_are_removed)
