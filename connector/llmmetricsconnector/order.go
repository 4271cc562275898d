package llmmetricsconnector

// order holds items in the order in which they were pushed. An item is in one order at most, which needs no memory
// beside the item's own place.
type order[T any, P linked[T]] struct{ front, back P }

type linked[T any] interface {
	*T
	placed() *place[T]
}

// place is between the neighbours of an item, nil at the ends.
type place[T any] struct{ prev, next *T }

func (o *order[T, P]) push(item P) {
	*item.placed() = place[T]{prev: o.back}
	if o.back != nil {
		o.back.placed().next = item
	} else {
		o.front = item
	}
	o.back = item
}

func (o *order[T, P]) remove(item P) {
	p := item.placed()
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
