// Package poller reads the projects of a LangSmith server side by side, hands their runs to the pipeline as
// traces, and stores how far it came once the pipeline has accepted them.
//
// What to read is decided by package cursor and what a span looks like by package translate; this package owns
// the goroutines, the clock, the retries and the storage.
package poller
