// Package cursor decides what to read from one LangSmith project next, which of the rows that come back are
// new, and what has to be remembered so that a restart neither loses a run nor repeats one.
//
// LangSmith has no change cursor: runs are found by windows of their start time, arrive late, end and are priced
// after they were first seen. A [Project] therefore keeps a head up to which start times were read, gaps behind
// it that were not, the ids that were emitted and could be met again, and the runs that are not ready yet.
//
// It is pure: no I/O, no clock, no logger. Times come in as parameters. A Project is not safe for
// concurrent use, but several tasks of it may be under way, page by page in any order.
package cursor
