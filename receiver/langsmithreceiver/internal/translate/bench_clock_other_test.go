//go:build !unix

package translate

import "time"

var benchStart = time.Now()

// cpuTime is the time of day where the work of the process alone is not told.
func cpuTime() time.Duration { return time.Since(benchStart) }
