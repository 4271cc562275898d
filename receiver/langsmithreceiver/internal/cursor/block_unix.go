//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cursor

import "syscall"

// mapPages returns zeroed memory, nil when the system has none.
func mapPages(size int) []byte {
	data, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return data
}

func unmapPages(data []byte) { _ = syscall.Munmap(data) }
