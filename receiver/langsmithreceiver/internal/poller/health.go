package poller

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// repeatAfter is how often a problem that persists is logged again.
	repeatAfter = 10 * time.Minute
	// refreshAfter is how often the status may repeat a problem with other details.
	refreshAfter = time.Minute
)

// health keeps track of what is wrong, and tells the log and the component's status about changes only.
//
// A key names a problem by its class and, behind a slash, whom it concerns. The log tells of a class once however many
// are concerned, and that it is over when it is over for all. The status names the worst problem, and how many others
// there are.
type health struct {
	log *zap.Logger

	mu       sync.Mutex
	problems map[string]problem
	// logged outlives the problems, so that one that comes and goes does not fill the log.
	logged map[string]time.Time
	shown  map[string]bool // classes whose problem is the log's last word

	report func(*componentstatus.Event) // nil once the receiver shuts down
	// told is what was reported last, and when.
	told   verdict
	toldAt time.Time
	// telling says that a goroutine is reporting. It does so without the lock, since what it calls is foreign, and
	// then looks whether there is something newer to report. quiet is signaled when it is done.
	telling bool
	quiet   sync.Cond
}

type problem struct {
	// message is what is wrong, and text the same with the details of the last time.
	message, text string
	permanent     bool
}

// verdict is what the status says. Key and message decide whether it is news; the text may change often.
type verdict struct {
	status             componentstatus.Status
	key, message, text string
}

func newHealth(log *zap.Logger, report func(*componentstatus.Event)) *health {
	h := &health{
		// What is wrong is on the other side: a stack of ours says nothing about it.
		log:    log.WithOptions(zap.AddStacktrace(zapcore.FatalLevel)),
		report: report, problems: map[string]problem{}, logged: map[string]time.Time{}, shown: map[string]bool{},
	}
	h.quiet.L = &h.mu
	return h
}

func class(key string) string {
	class, _, _ := strings.Cut(key, "/")
	return class
}

// problem notes that something named by key is wrong. Permanent means that only a new configuration helps.
func (h *health) problem(key, message string, err error, permanent bool, fields ...zap.Field) {
	text := message
	for _, f := range fields {
		if f.Key == "project" {
			text += " (project " + strconv.Quote(f.String) + ")"
		}
	}
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
	h.problems[key] = problem{message, text + ": " + err.Error(), permanent}
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
	if h.told.status == componentstatus.StatusNone {
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

// verdict is what the status should say now.
func (h *health) verdict() verdict {
	v := verdict{status: componentstatus.StatusOK}
	for key, p := range h.problems {
		status := componentstatus.StatusRecoverableError
		if p.permanent {
			status = componentstatus.StatusPermanentError
		}
		worse := v.status == componentstatus.StatusOK || status == componentstatus.StatusPermanentError && v.status != status
		if worse || status == v.status && key < v.key {
			v = verdict{status, key, p.message, p.text}
		}
	}
	if n := len(h.problems); n > 1 {
		v.text += fmt.Sprintf(" (and %d more)", n-1)
	}
	return v
}

// update reports the worst problem if it is another than the last time, or, now and then, if its details are. It
// needs the lock, and gives it up while it reports.
func (h *health) update() {
	if h.telling { // the goroutine that does will look again
		return
	}
	for h.report != nil {
		v, now := h.verdict(), time.Now()
		news := v.status != h.told.status || v.key != h.told.key || v.message != h.told.message
		if !news && (v.text == h.told.text || now.Sub(h.toldAt) < refreshAfter) {
			break
		}
		h.told, h.toldAt, h.telling = v, now, true
		report := h.report
		h.mu.Unlock()
		switch v.status {
		case componentstatus.StatusOK:
			report(componentstatus.NewEvent(v.status))
		case componentstatus.StatusPermanentError:
			report(componentstatus.NewPermanentErrorEvent(errors.New(v.text)))
		default:
			report(componentstatus.NewRecoverableErrorEvent(errors.New(v.text)))
		}
		h.mu.Lock()
		h.telling = false
	}
	h.quiet.Broadcast()
}

// settled waits until the status says what it should. The caller must not be the one that reports.
func (h *health) settled() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.telling {
		h.quiet.Wait()
	}
}

// silence ends the reports of status: a component that shuts down must not report any.
func (h *health) silence() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.report = nil
	for h.telling {
		h.quiet.Wait()
	}
}
