package cursor

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// HashKey keys the hash by which the runs of a project are remembered, so that nobody can choose ids that collide. It
// has to be random. A stored project keeps its own.
type HashKey [16]byte

// hasher makes hashes of ids: an id is one block of AES, and a part of what that becomes is the hash.
type hasher struct {
	key   HashKey
	block cipher.Block
	text  [aes.BlockSize]byte
}

func newHasher(key HashKey) *hasher {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for another size of the key
	}
	return &hasher{key: key, block: block}
}

func (h *hasher) hash(id langsmith.UUID) uint64 {
	h.text = id
	h.block.Encrypt(h.text[:], h.text[:])
	return binary.LittleEndian.Uint64(h.text[:])
}
