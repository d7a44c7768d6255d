// Defects that a store may have, and the check of the conformance suite that must find each.
#pragma once

/// Expands M(defect, sentence) for every defect: `a store that <defect>` fails the check named by the
/// sentence.
#define CODEWAKE_MUTANTS(M)                                                                              \
  M("finds apps whatever their case", "an app is found again under the same id")                         \
  M("does not commit an inserted app", "an app is found again under the same id")                        \
  M("merges versions across apps", "a version belongs to its app")                                       \
  M("keeps an empty version", "an empty version counts as none")                                         \
  M("lists the versions of every app", "apps and versions are listed in the order of their ids")         \
  M("answers an unknown id with the first event", "an unknown id gives nothing")                         \
  M("drops the user's name", "a process keeps every field")                                              \
  M("makes up a user's name", "a process needs no optional field")                                       \
  M("gives each process an environment of its own", "processes share app, version and environment")      \
  M("answers nothing to sync", "an event is stored with and without sync")                               \
  M("gives events to the first process", "an event without a process goes to the one recorded last")     \
  M("keeps milliseconds only", "a time is kept to the microsecond")                                      \
  M("records runs an hour early", "a time that is not given is now")                                     \
  M("sorts attributes", "attributes keep their order, and keys may repeat")                              \
  M("drops repeated keys", "attributes keep their order, and keys may repeat")                           \
  M("writes NULL as an empty value", "NULL is not an empty value")                                       \
  M("writes an empty value as NULL", "NULL is not an empty value")                                       \
  M("trims values", "NULL is not an empty value")                                                        \
  M("writes no data as an empty list", "no data is not an empty list")                                   \
  M("computes another digest", "a digest is what the older system computes")                             \
  M("cuts numbers", "values of every type become text")                                                  \
  M("cuts long values", "values of a megabyte and a thousand attributes are kept")                       \
  M("knows only the first plane of Unicode", "every plane of Unicode is kept")                           \
  M("composes combining marks", "text is not normalized")                                                \
  M("replaces bad bytes by question marks", "text that is not UTF-8 is made fit")                        \
  M("replaces bad bytes of names by question marks", "names and frames that are not UTF-8 are made fit") \
  M("takes terms for patterns", "text that means something to SQL is only text")                         \
  M("turns frames around", "frames keep their order and every field")                                    \
  M("drops build ids", "frames keep their order and every field")                                        \
  M("gives every stack an id of its own", "equal stacks share an id and others do not")                  \
  M("takes a stack without frames for none", "a stack without frames is not the same as none")           \
  M("cuts deep stacks", "a stack of the greatest depth is kept")                                         \
  M("matches the first term only", "events are found by one, two and three terms")                       \
  M("matches a key once", "repeated terms must each match")                                              \
  M("matches NULL with an empty value", "a NULL term matches NULL only")                                 \
  M("ignores the process", "events are found by their process")                                          \
  M("ignores the environment", "each filter of get_events works alone")                                  \
  M("ignores the environment beside an app", "filters of get_events work together")                      \
  M("includes the end of a range", "a time range includes its start and not its end")                    \
  M("excludes the start of a range", "a time range includes its start and not its end")                  \
  M("orders ties the other way", "events come newest first, ties by id")                                 \
  M("names a page after the last", "a limit is the most that a page has")                                \
  M("takes any cursor", "a bad cursor is rejected")                                                      \
  M("skips an event between pages", "ten thousand events are paged, each once and in order")             \
  M("pages by offset", "paging is not disturbed by new events")                                          \
  M("orders processes by time", "processes are found by app and time")                                   \
  M("groups exceptions by stack alone", "exceptions are grouped by stack and type")                      \
  M("counts exceptions of all times", "exceptions are counted within time, app and environment")         \
  M("stores something for an empty batch", "an empty batch does nothing")                                \
  M("stores batches twice", "a batch may be of several processes, new and known")                        \
  M("writes half a batch before it fails", "a batch of an unknown process is refused whole")             \
  M("writes what comes before a refused event", "a batch that fails halfway leaves nothing")             \
  M("takes events of unknown processes", "an event of an unknown process is rejected")                   \
  M("forgets positions", "positions are stored with their batch")                                        \
  M("does not look at noted positions", "a storage that was replaced is noticed by its positions")       \
  M("keeps the first position", "positions are stored with their batch")                                 \
  M("lists positions whatever their case", "positions are listed and forgotten by prefix")               \
  M("loses one event in fifty", "eight threads write and read at once")                                  \
  M("stores one event in fifty twice", "eight threads write and read at once")                           \
  M("shares nothing with other clients", "eight threads write and read at once through two clients")     \
  M("makes an app for each insert", "eight threads insert the same app at once")                         \
  M("hides its writes from other clients", "two clients see each other's writes")                        \
  M("is empty when opened again", "everything is there after reopening")                                 \
  M("drops what nobody waits for", "flush says that all is stored")                                      \
  M("takes events after shutdown", "nothing is taken after shutdown")                                    \
  M("removes more than a slice", "old events are removed in slices, the oldest first")                   \
  M("removes what is as old as the limit", "old events are removed in slices, the oldest first")         \
  M("removes stacks that are in use", "a stack trace stays as long as an event refers to it")            \
  M("keeps processes", "old processes are removed that have neither events nor a journal")               \
  M("removes recent processes", "old processes are removed that have neither events nor a journal")      \
  M("removes what it counts", "counting what is old says what removing it will do, and changes nothing") \
  M("finds what was removed", "what was removed is not found, whatever came after it")                   \
  M("removes everything", "events are removed beside a writer of the same stacks")                       \
  M("drops whose upstream it is", "a trace event keeps every field")                                     \
  M("keeps microseconds of durations", "a trace event keeps every field")                                \
  M("cuts texts of trace events", "whatever a trace event's texts say is only text")                     \
  M("finds variables whatever their case", "trace events are found by trace, variable and time")         \
  M("takes any kind for a variable", "trace events are found by trace, variable and time")               \
  M("repeats a trace event between pages", "trace events are paged, oldest first")                       \
  M("counts errors as events only", "traces are summed up, the latest first")                            \
  M("sorts traces by their first event", "traces are summed up, the latest first")                       \
  M("looks at the newest thousand trace events",                                                         \
    "the newest traces are found among many, and behind a large one")                                    \
  M("forgets the traces of events", "an event keeps the trace that it was logged in")                    \
  M("orders events of a trace the other way", "events of a trace come oldest first")                     \
  M("gives trace events ids of events", "trace events are stored with their batch, or not at all")       \
  M("stores trace events before it fails", "trace events are stored with their batch, or not at all")    \
  M("drops single trace events", "a single trace event is stored, of the process recorded last")         \
  M("keeps old trace events", "old trace events are removed after old events")                           \
  M("counts trace events as events", "old trace events are removed after old events")                    \
  M("lists resolved stacks", "unresolved stack traces are listed by their ids")                          \
  M("pages unresolved stacks from the first", "unresolved stack traces are listed by their ids")         \
  M("keeps frames as they came", "replaced frames are of the same stack trace")                          \
  M("keeps stacks apart that become equal", "stack traces that become equal are merged")                 \
  M("replaces what it finds", "a stack trace that is another by now is passed over")                     \
  M("keeps one frame of those it replaces", "frames are replaced beside a writer of the same stacks")
