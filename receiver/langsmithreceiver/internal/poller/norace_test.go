//go:build !race

package poller

const raceDetector = false

// defaultHistories are about a minute of work for one core.
const defaultHistories = 1000
