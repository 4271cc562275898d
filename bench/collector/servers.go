package main

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// servers are the simulator and the API in front of it.
type servers struct {
	url     string
	started []*exec.Cmd
}

var listening = regexp.MustCompile(`listening on (http://[0-9.:]+)`)

func startServers(repo string, args ...string) (*servers, error) {
	s := &servers{}
	simulator, err := s.start(filepath.Join(repo, "bin", "langsmithsim"), "--listen", "127.0.0.1:0", "--history", "3000", "--span", "2h",
		"--rate", "0", "--stuck", "0")
	if err != nil {
		s.stop()
		return nil, err
	}
	self, err := os.Executable()
	if err == nil {
		s.url, err = s.start(self, append([]string{"serve", "-simulator", simulator}, args...)...)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// start runs a server and returns the address that it prints.
func (s *servers) start(path string, args ...string) (string, error) {
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	s.started = append(s.started, cmd)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			return m[1], nil
		}
	}
	return "", errors.New(filepath.Base(path) + " did not start")
}

// size is how many bytes a run takes before compression.
func (s *servers) size() string {
	resp, err := http.Get(s.url + "/told")
	if err != nil {
		return "-"
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "-"
	}
	return string(body)
}

func (s *servers) stop() {
	for _, cmd := range s.started {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
