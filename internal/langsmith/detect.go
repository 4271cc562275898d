package langsmith

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// APIVersion is a version of the runs API.
type APIVersion uint8

const (
	// VersionAuto lets the server's answers decide.
	VersionAuto APIVersion = iota
	// VersionV1 is POST /api/v1/runs/query, which LangSmith removes at the end of January 2027.
	VersionV1
	// VersionV2 is POST /api/v2/runs/query, in LangSmith since 0.16.
	VersionV2
)

// String is the value of the configuration key api_version.
func (v APIVersion) String() string {
	switch v {
	case VersionV1:
		return "v1"
	case VersionV2:
		return "v2"
	default:
		return "auto"
	}
}

// redetect is how long an answer about the server's version is trusted: servers are updated now and then.
const redetect = 24 * time.Hour

// Server is what is known of the server.
type Server struct {
	// Version as the server writes it, empty when it does not tell.
	Version string
	// API is the version in use, never [VersionAuto].
	API APIVersion
	// Sunset is when the server will remove the API version in use, as it announced; empty when it did not.
	Sunset string
}

// Detect finds out which API version the server speaks. The answer is kept for a day, so it costs nothing to
// call it for every poll.
func (c *Client) Detect(ctx context.Context) (Server, error) {
	c.detecting.Lock()
	defer c.detecting.Unlock()
	if s, ok := c.known(); ok {
		return s, nil
	}
	s, err := c.detect(ctx)
	if err != nil {
		return Server{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server, c.detected = s, time.Now()
	return c.withSunset(), nil
}

func (c *Client) known() (Server, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detected.IsZero() || time.Since(c.detected) > redetect {
		return Server{}, false
	}
	return c.withSunset(), true
}

// withSunset needs c.mu.
func (c *Client) withSunset() Server {
	s := c.server
	if s.API == VersionV1 {
		s.Sunset = c.sunset
	}
	return s
}

// forget makes the next Detect ask again.
func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detected = time.Time{}
}

// useV1 falls back to v1 until the next detection.
func (c *Client) useV1() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server.API = VersionV1
}

// serverInfo is the part of GET /info that matters here.
type serverInfo struct {
	Version string `json:"version"`
	Flags   struct {
		ClickHouse *bool `json:"ch_query_enabled"`
		SmithDB    *bool `json:"sdb_query_enabled"`
	} `json:"instance_flags"`
}

func (c *Client) detect(ctx context.Context) (Server, error) {
	const op = "find out the API version"
	info, err := c.info(ctx)
	if err != nil && (c.cfg.APIVersion == VersionAuto || ctx.Err() != nil) {
		return Server{}, err
	}
	s := Server{Version: info.Version, API: c.cfg.APIVersion}
	switch {
	case s.API == VersionV1:
		return s, nil
	case s.API == VersionAuto && !info.speaksV2():
		s.API = VersionV1
		return s, nil
	case isCloud(c.base):
		s.API = VersionV2
		return s, nil
	}
	// A server may be new enough and still not have v2: it needs a certain database. An empty query tells
	// without knowing a project.
	err = c.read(ctx, request{op: op, class: ClassRunsV2, method: http.MethodPost, path: "/api/v2/runs/query", body: struct{}{}}, maxListBytes, &struct{}{})
	var failed *Error
	switch {
	case err == nil, errors.As(err, &failed) && failed.invalid():
		s.API = VersionV2
		return s, nil
	case failed == nil || !failed.noRoute():
		return Server{}, err
	case c.cfg.APIVersion == VersionV2:
		return Server{}, noV2(op, failed.StatusCode, info.Version)
	}
	s.API = VersionV1
	return s, nil
}

func noV2(op string, status int, version string) *Error {
	if version == "" {
		version = "an older one"
	}
	return &Error{Op: op, StatusCode: status, Detail: fmt.Sprintf(
		`api_version: "v2" needs LangSmith 0.16 or newer with SmithDB, and the server is %s; set api_version to "auto" or "v1"`, tidy(version, ""))}
}

// info asks the server what it is. A server that does not tell is no error.
func (c *Client) info(ctx context.Context) (serverInfo, error) {
	for _, path := range []string{"/api/v1/info", "/info"} {
		var info serverInfo
		err := c.read(ctx, request{op: "read the server's version", method: http.MethodGet, path: path}, maxListBytes, &info)
		var failed *Error
		switch {
		case err == nil:
			return info, nil
		case errors.As(err, &failed) && (failed.noRoute() || errors.Is(failed.Err, errSyntax)):
			continue
		default:
			return serverInfo{}, err
		}
	}
	return serverInfo{}, nil
}

// speaksV2 judges by the database flags first, because they are about exactly this, then by the version: v2
// came with 0.16, and a version that is not 0.x is LangSmith's own service.
func (i serverInfo) speaksV2() bool {
	if i.Flags.ClickHouse != nil && !*i.Flags.ClickHouse && i.Flags.SmithDB != nil && *i.Flags.SmithDB {
		return true
	}
	rest, ok := strings.CutPrefix(strings.TrimPrefix(i.Version, "v"), "0.")
	if !ok {
		return true
	}
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return err != nil || n >= 16
}
