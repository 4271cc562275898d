package e2e

import (
	"regexp"
	"testing"
	"time"
)

// simulator is a running langsmithsim.
type simulator struct {
	*process
	url string
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

func startSimulator(t *testing.T, args ...string) *simulator {
	t.Helper()
	s := &simulator{process: start(t, t.TempDir(), nil, "langsmithsim", append([]string{"--listen", "127.0.0.1:0"}, args...)...)}
	eventually(t, 60*time.Second, "the simulator listens", func() bool {
		if m := listening.FindStringSubmatch(s.output()); m != nil {
			s.url = m[1]
		}
		return s.url != ""
	})
	return s
}
