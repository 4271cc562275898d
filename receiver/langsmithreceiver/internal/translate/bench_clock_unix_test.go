//go:build unix

package translate

import (
	"syscall"
	"time"
)

// cpuTime is how long the process has been at work, garbage collection included. Unlike the time of day it does not
// count when others have the processor.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
