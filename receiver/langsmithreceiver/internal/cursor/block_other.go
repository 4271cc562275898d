//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package cursor

func mapPages(int) []byte { return nil }

func unmapPages([]byte) {}
