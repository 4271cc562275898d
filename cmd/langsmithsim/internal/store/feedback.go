package store

import (
	"cmp"
	"slices"
)

// Feedback is one judgement on a run, or on a whole project when it names no run.
type Feedback struct {
	ID, RunID, TraceID, ProjectID UUID
	Key                           string
	// Score, Value, Correction, Extra and Source are JSON texts; empty means null.
	Score, Value, Correction, Extra, Source string
	Comment                                 string
	SourceType                              string
	Created, Modified                       int64
	RunStart                                int64
	Root                                    bool
	Group, Thread                           string

	// Edit, if any, is what the entry becomes at Edit.Modified.
	Edit *Feedback
}

// At is the entry as the server tells it at now; nil when it is not there yet.
func (f *Feedback) At(now int64) *Feedback {
	if f.Created > now {
		return nil
	}
	if f.Edit != nil && f.Edit.Modified <= now {
		return f.Edit
	}
	return f
}

// AddFeedback adds or replaces entries by their id.
func (s *Store) AddFeedback(entries ...*Feedback) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range entries {
		if old := s.feedbackByID[f.ID]; old != nil {
			s.dropFeedback(old)
		}
		s.feedbackByID[f.ID] = f
		s.feedbackByRun[f.RunID] = append(s.feedbackByRun[f.RunID], f)
		i, _ := slices.BinarySearchFunc(s.feedback, f, func(a, b *Feedback) int { return cmp.Compare(a.Created, b.Created) })
		for i < len(s.feedback) && s.feedback[i].Created == f.Created {
			i++
		}
		s.feedback = slices.Insert(s.feedback, i, f)
	}
}

func (s *Store) dropFeedback(f *Feedback) {
	same := func(o *Feedback) bool { return o == f }
	delete(s.feedbackByID, f.ID)
	s.feedbackByRun[f.RunID] = slices.DeleteFunc(s.feedbackByRun[f.RunID], same)
	s.feedback = slices.DeleteFunc(s.feedback, same)
}

// FeedbackByID finds an entry as of now; nil when there is none.
func (s *Store) FeedbackByID(id UUID, now int64) *Feedback {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if f := s.feedbackByID[id]; f != nil {
		return f.At(now)
	}
	return nil
}

// DeleteFeedback removes an entry and reports whether there was one.
func (s *Store) DeleteFeedback(id UUID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feedbackByID[id]
	if f != nil {
		s.dropFeedback(f)
	}
	return f != nil
}

// FeedbackOf lists the entries about one run as of now.
func (s *Store) FeedbackOf(run UUID, now int64) []*Feedback {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.feedbackOf(run, now)
}

func (s *Store) feedbackOf(run UUID, now int64) (out []*Feedback) {
	for _, f := range s.feedbackByRun[run] {
		if v := f.At(now); v != nil {
			out = append(out, v)
		}
	}
	return out
}

// Feedback lists the entries that match as of now, newest first.
func (s *Store) Feedback(now int64, match func(*Feedback) bool) (out []*Feedback) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, f := range slices.Backward(s.feedback) {
		if v := f.At(now); v != nil && match(v) {
			out = append(out, v)
		}
	}
	return out
}

// Queue is an annotation queue.
type Queue struct {
	ID          UUID
	Name        string
	Description string
	Type        string // single or pairwise
	Created     int64
	Reviewers   int

	items []*QueueItem
}

// QueueItem is a run that waits for review, or was reviewed.
type QueueItem struct {
	ID, Queue, Run, Project UUID
	RunStart                int64
	Added                   int64
	// Reviewed is when the first reviewer was done, Archived when all were; zero means never.
	Reviewed, Archived int64
}

// AddQueue adds a queue.
func (s *Store) AddQueue(q Queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q.items = nil
	s.queues = append(s.queues, &q)
}

// Queues lists the queues as of now.
func (s *Store) Queues(now int64) (out []Queue) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, q := range s.queues {
		if q.Created <= now {
			out = append(out, *q)
		}
	}
	return out
}

// Enqueue puts items into their queues.
func (s *Store) Enqueue(items ...*QueueItem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range items {
		for _, q := range s.queues {
			if q.ID == it.Queue {
				q.items = append(q.items, it)
			}
		}
	}
}

// QueueItems lists the items of a queue as of now in the order in which they were added.
func (s *Store) QueueItems(queue UUID, now int64) (out []*QueueItem) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, q := range s.queues {
		if q.ID != queue {
			continue
		}
		for _, it := range q.items {
			if it.Added <= now {
				out = append(out, it)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *QueueItem) int { return cmp.Compare(a.Added, b.Added) })
	return out
}
