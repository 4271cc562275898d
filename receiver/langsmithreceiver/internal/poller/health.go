package poller

import (
	"errors"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// repeatAfter is how often a problem that persists is logged again.
const repeatAfter = 10 * time.Minute

// health keeps track of what is wrong, and tells the log and the component's status about changes only.
//
// A key names a problem by its class and, behind a slash, whom it concerns. The log tells of a class once however many
// are concerned, and that it is over when it is over for all.
type health struct {
	log    *zap.Logger
	report func(*componentstatus.Event) // nil once the receiver shuts down

	mu       sync.Mutex
	problems map[string]problem
	// logged outlives the problems, so that one that comes and goes does not fill the log.
	logged map[string]time.Time
	shown  map[string]bool // classes whose problem is the log's last word
	status string          // what was reported last
}

type problem struct {
	text      string
	permanent bool
}

func newHealth(log *zap.Logger, report func(*componentstatus.Event)) *health {
	return &health{
		// What is wrong is on the other side: a stack of ours says nothing about it.
		log:    log.WithOptions(zap.AddStacktrace(zapcore.FatalLevel)),
		report: report, problems: map[string]problem{}, logged: map[string]time.Time{}, shown: map[string]bool{},
	}
}

func class(key string) string {
	class, _, _ := strings.Cut(key, "/")
	return class
}

// problem notes that something named by key is wrong. Permanent means that only a new configuration helps.
func (h *health) problem(key, message string, err error, permanent bool, fields ...zap.Field) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.due(class(key) + message) {
		h.shown[class(key)] = true
		fields = append(fields, zap.Error(err))
		if permanent {
			h.log.Error(message, fields...)
		} else {
			h.log.Warn(message, fields...)
		}
	}
	h.problems[key] = problem{message + ": " + err.Error(), permanent}
	h.update()
}

// notice tells the log of something odd that is no problem of the receiver, now and then.
func (h *health) notice(key, message string, fields ...zap.Field) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.due(key + message) {
		h.log.Warn(message, fields...)
	}
}

// due reports whether a line that was not written for a while is to be written.
func (h *health) due(line string) bool {
	now := time.Now()
	if last, known := h.logged[line]; known && now.Sub(last) < repeatAfter {
		return false
	}
	h.logged[line] = now
	return true
}

// resolved notes that what key names works. It costs little when there was no problem.
func (h *health) resolved(key, message string, fields ...zap.Field) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.problems[key]; known {
		delete(h.problems, key)
		if class := class(key); h.shown[class] && !h.any(class) {
			delete(h.shown, class)
			h.log.Info(message, fields...)
		}
		h.update()
		return
	}
	if h.status == "" {
		h.update()
	}
}

func (h *health) any(of string) bool {
	for key := range h.problems {
		if class(key) == of {
			return true
		}
	}
	return false
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
