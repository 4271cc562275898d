package llmmetricsconnector

// order holds items in the order in which they were pushed. An item is in one order at most, which needs no memory
// beside the item's own place. Before an item changes it is removed, and then pushed.
type order[T any, P linked[T]] struct {
	front, back P
	pushed      uint64 // so many so far

	cursor P // the first that is to be written, while a cut is
	until  uint64
	write  func(P)
}

type linked[T any] interface {
	*T
	placed() *place[T]
}

// place is between the neighbours of an item, nil at the ends.
type place[T any] struct {
	prev, next *T
	at         uint64 // the number under which it was pushed
}

func (o *order[T, P]) push(item P) {
	o.pushed++
	*item.placed() = place[T]{prev: o.back, at: o.pushed}
	if o.back != nil {
		o.back.placed().next = item
	} else {
		o.front = item
	}
	o.back = item
}

func (o *order[T, P]) remove(item P) {
	if o.due(item) {
		o.write(item)
	}
	p := item.placed()
	if item == o.cursor {
		o.cursor = p.next
	}
	if prev := P(p.prev); prev != nil {
		prev.placed().next = p.next
	} else {
		o.front = p.next
	}
	if next := P(p.next); next != nil {
		next.placed().prev = p.prev
	} else {
		o.back = p.prev
	}
	*p = place[T]{}
}

// cut begins to write all items as they are now: step by step, and those that are removed before they are due. The order is
// that of their places.
func (o *order[T, P]) cut(write func(P)) { o.cursor, o.until, o.write = o.front, o.pushed, write }

// step writes up to n items of a cut and reports whether that was all of them.
func (o *order[T, P]) step(n int) bool {
	for ; o.cursor != nil && o.due(o.cursor); n-- {
		if n <= 0 {
			return false
		}
		o.write(o.cursor)
		o.cursor = o.cursor.placed().next
	}
	o.cursor, o.write = nil, nil
	return true
}

// due reports whether an item is part of a cut and not written yet. The cursor only passes what is written.
func (o *order[T, P]) due(item P) bool {
	at := item.placed().at
	return o.cursor != nil && at <= o.until && at >= o.cursor.placed().at
}
