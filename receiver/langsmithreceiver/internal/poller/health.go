package poller

import (
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
)

// repeatAfter is how often a problem that persists is logged again.
const repeatAfter = 10 * time.Minute

// health keeps track of what is wrong, and tells the log and the component's status about changes only.
type health struct {
	log    *zap.Logger
	report func(*componentstatus.Event) // nil once the receiver shuts down

	mu       sync.Mutex
	problems map[string]problem
	// logged outlives the problems, so that one that comes and goes does not fill the log.
	logged map[string]time.Time
	status string // what was reported last
}

type problem struct {
	text      string
	permanent bool
	shown     bool // in the log
}

func newHealth(log *zap.Logger, report func(*componentstatus.Event)) *health {
	return &health{log: log, report: report, problems: map[string]problem{}, logged: map[string]time.Time{}}
}

// problem notes that something named by key is wrong. Permanent means that only a new configuration helps.
func (h *health) problem(key, message string, err error, permanent bool, fields ...zap.Field) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.problems[key]
	now := time.Now()
	if last, known := h.logged[key+message]; !known || now.Sub(last) >= repeatAfter {
		h.logged[key+message], p.shown = now, true
		fields = append(fields, zap.Error(err))
		if permanent {
			h.log.Error(message, fields...)
		} else {
			h.log.Warn(message, fields...)
		}
	}
	p.text, p.permanent = message+": "+err.Error(), permanent
	h.problems[key] = p
	h.update()
}

// resolved notes that what key names works. It costs little when there was no problem.
func (h *health) resolved(key, message string, fields ...zap.Field) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, known := h.problems[key]; known {
		delete(h.problems, key)
		if p.shown {
			h.log.Info(message, fields...)
		}
		h.update()
		return
	}
	if h.status == "" {
		h.update()
	}
}

// update reports the worst problem, if it is another than the last time.
func (h *health) update() {
	kind, text, key := "ok", "", ""
	for k, p := range h.problems {
		worse := kind == "ok" || (p.permanent && kind != "permanent")
		same := p.permanent == (kind == "permanent")
		if worse || (same && k < key) {
			kind, text, key = "recoverable", p.text, k
			if p.permanent {
				kind = "permanent"
			}
		}
	}
	if h.status == kind+key || h.report == nil {
		return
	}
	h.status = kind + key
	switch kind {
	case "ok":
		h.report(componentstatus.NewEvent(componentstatus.StatusOK))
	case "permanent":
		h.report(componentstatus.NewPermanentErrorEvent(errors.New(text)))
	default:
		h.report(componentstatus.NewRecoverableErrorEvent(errors.New(text)))
	}
}

// silence ends the reports of status: a component that shuts down must not report any.
func (h *health) silence() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.report = nil
}
