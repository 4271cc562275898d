//go:build race

package poller

const raceDetector = true

// defaultHistories is small because the race detector makes a history about ten times as long. It looks for races,
// which a few histories show; what the histories come to is looked at without it.
const defaultHistories = 100
