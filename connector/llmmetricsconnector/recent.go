package llmmetricsconnector

// recent holds the last items that were added, as many as its limit.
type recent[T any] struct {
	limit int
	items []T
	next  int // where the oldest is, once there are as many as may be

	at, left int // where the first item is that is to be written, and how many are, while a cut is
	write    func(T)
}

// add adds an item, and returns the one that is forgotten for it if there is one.
func (r *recent[T]) add(item T) (forgotten T, full bool) {
	if len(r.items) < r.limit {
		r.items = append(r.items, item)
		return forgotten, false
	}
	if r.left > 0 && r.at == r.next {
		r.step(1)
	}
	forgotten, r.items[r.next] = r.items[r.next], item
	r.next = (r.next + 1) % r.limit
	return forgotten, true
}

// cut begins to write all items that are there now, the oldest first: step by step, and those that are forgotten before.
func (r *recent[T]) cut(write func(T)) { r.at, r.left, r.write = r.next, len(r.items), write }

// step writes up to n items of a cut and reports whether that was all of them.
func (r *recent[T]) step(n int) bool {
	for ; n > 0 && r.left > 0; n-- {
		r.write(r.items[r.at])
		r.at = (r.at + 1) % r.limit
		r.left--
	}
	return r.left == 0
}
