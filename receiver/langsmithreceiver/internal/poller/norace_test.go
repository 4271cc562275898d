//go:build !race

package poller

// defaultHistories are about a minute of work for one core.
const defaultHistories = 1000
