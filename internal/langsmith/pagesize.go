package langsmith

import (
	"regexp"
	"strconv"
	"sync"
)

// pageSizer decides how many runs to ask for. It halves after pages that were too heavy, and grows back. A size that
// came well before is taken up again soon, since a page may also fail for other reasons than its weight.
type pageSizer struct {
	mu   sync.Mutex
	size int // what to ask for
	cap  int // what the server allows
	good int // pages in a row that came well since the last change
	// proven is the largest size that came well, and doubtful says that it has failed once since.
	proven   int
	doubtful bool
	// patience is how many good pages it takes to grow beyond what is proven. It rises with every failure, so that a
	// server which cannot do more is not asked for more all the time.
	patience int
}

const (
	firstPatience = 3
	mostPatience  = 48
)

func newPageSizer(start, limit int) *pageSizer {
	return &pageSizer{size: start, cap: limit, patience: firstPatience}
}

// ask is the size for a caller who wants no more than want; zero wants as many as possible.
func (p *pageSizer) ask(want int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if want > 0 {
		return min(want, p.cap, max(p.size, 1))
	}
	return min(p.size, p.cap)
}

// ok tells that a page of the size asked for came well.
func (p *pageSizer) ok(asked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if asked < p.size {
		return
	}
	if asked >= p.proven {
		p.proven, p.doubtful = asked, false
	}
	if p.size >= p.cap {
		return
	}
	beyond := p.size >= p.proven
	if p.good++; beyond && p.good < p.patience {
		return
	}
	p.good = 0
	grown := min(p.size+max(p.size/2, 1), p.cap)
	if beyond {
		p.patience = max(p.patience-p.patience/4, firstPatience)
	} else {
		grown = min(grown, p.proven)
	}
	p.size = grown
}

// tooHeavy tells that a page of the size asked for did not come.
func (p *pageSizer) tooHeavy(asked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good = 0
	// Of several requests that failed together, only the first changes the size.
	if asked > p.size {
		return
	}
	p.size = max(asked/2, 1)
	if asked <= p.proven && !p.doubtful {
		p.doubtful = true
		return
	}
	p.proven = min(p.proven, p.size)
	p.patience = min(p.patience*2, mostPatience)
}

// limit tells what the server allows at most.
func (p *pageSizer) limit(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cap = max(n, 1)
	p.size = min(p.size, p.cap)
}

var limitPattern = regexp.MustCompile(`(?i)(?:limit|page_size|page size)[^0-9]*(?:maximum|at most|less than or equal to|max|exceed)[^0-9]*([0-9]+)`)

// allowedLimit reads the page size that a server allows out of its refusal of a larger one.
func allowedLimit(detail string) (int, bool) {
	m := limitPattern.FindStringSubmatch(detail)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil && n > 0
}
