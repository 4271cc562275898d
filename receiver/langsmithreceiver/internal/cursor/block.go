package cursor

import "runtime"

// largeBlock is the size from which on a block gets pages of its own.
const largeBlock = 32 << 10

// block is memory for bytes that stay for long. A large one is not on Go's heap, where the garbage collector lets
// the process grow by as much again as is in use before it runs. It is given back when nobody refers to the block.
// Its bytes must not be handed on: they do not keep it.
type block struct {
	data    []byte
	mapped  bool
	cleanup runtime.Cleanup
}

func newBlock(size int) *block {
	b := &block{}
	if size >= largeBlock {
		b.data = mapPages(size)
	}
	if b.mapped = b.data != nil; b.mapped {
		b.cleanup = runtime.AddCleanup(b, unmapPages, b.data)
	} else {
		b.data = make([]byte, size)
	}
	return b
}

// free gives the memory back at once. Nobody may use the bytes afterwards.
func (b *block) free() {
	if b.mapped {
		b.cleanup.Stop()
		unmapPages(b.data)
	}
	b.data, b.mapped = nil, false
}
