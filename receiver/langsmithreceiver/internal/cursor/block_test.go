package cursor

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// TestBlocksAreGivenBack checks that the pages of a large block are zero at first, and go back to the system when nobody
// refers to the block any more.
func TestBlocksAreGivenBack(t *testing.T) {
	if _, err := os.Stat("/proc/self/maps"); err != nil {
		t.Skip("only Linux tells a process which memory it has: ", err)
	}
	b := newBlock(64 << 20)
	for i := 0; i < len(b.data); i += 1 << 10 {
		if !assert.Zero(t, b.data[i]) {
			break
		}
		b.data[i] = 1
	}
	middle := uint64(uintptr(unsafe.Pointer(&b.data[len(b.data)/2])))
	assert.True(t, mapped(t, middle))
	runtime.KeepAlive(b)
	b = nil
	assert.Eventually(t, func() bool {
		runtime.GC()
		return !mapped(t, middle)
	}, time.Minute, 10*time.Millisecond)
}

// mapped reports whether there is memory at an address.
func mapped(t *testing.T, address uint64) bool {
	maps, err := os.ReadFile("/proc/self/maps")
	assert.NoError(t, err)
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err == nil && from <= address && address < to {
			return true
		}
	}
	return false
}
