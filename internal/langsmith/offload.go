package langsmith

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	opOffloaded = "read an offloaded body"
	// offloadTimeout is short, because the run is waiting in the middle of a page.
	offloadTimeout = 30 * time.Second
)

// OffloadedBody reads inputs or outputs that v1 keeps outside of the run, by [Run.InputsURL] or
// [Run.OutputsURL], at most maxBytes of them. Links expire, so read them at once. The key goes along only when
// the link leads to the API itself. Nothing is retried.
func (c *Client) OffloadedBody(ctx context.Context, link Text, maxBytes int64) (Raw, error) {
	address, own, err := c.resolve(link.String())
	if err != nil {
		return nil, &Error{Op: opOffloaded, StatusCode: http.StatusBadRequest, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, offloadTimeout)
	defer cancel()
	var resp *http.Response
	if own {
		resp, err = c.send(ctx, request{op: opOffloaded, method: http.MethodGet, path: address})
	} else {
		resp, err = c.sendAbroad(ctx, address)
	}
	if err != nil {
		return nil, err
	}
	defer drain(resp.Body)
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	switch {
	case err != nil:
		return nil, &Error{Op: opOffloaded, StatusCode: resp.StatusCode, Err: withoutAddress(err), unreadable: true}
	case int64(len(text)) > maxBytes:
		return nil, &Error{Op: opOffloaded, StatusCode: resp.StatusCode, Err: errTooLarge}
	case !json.Valid(text) || !utf8.Valid(text):
		return nil, &Error{Op: opOffloaded, StatusCode: resp.StatusCode, Err: errSyntax}
	}
	return Raw(text), nil
}

// resolve returns what stands behind the base for a link to the API itself, and a whole address for others.
func (c *Client) resolve(link string) (address string, own bool, err error) {
	u, err := url.Parse(link)
	if err != nil || link == "" {
		// The parser's text would repeat the signature.
		return "", false, errors.New("the link is no address")
	}
	if u.Host == "" && u.Scheme == "" {
		path := "/" + strings.TrimLeft(u.RequestURI(), "/")
		return path, true, nil
	}
	if rest, ok := strings.CutPrefix(link, c.base+"/"); ok {
		return "/" + rest, true, nil
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", false, errors.New("the link is neither http nor https")
	}
	return link, false, nil
}

// sendAbroad does a request to another server, which must not see anything of ours.
func (c *Client) sendAbroad(ctx context.Context, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &Error{Op: opOffloaded, Err: errors.New("the link is no address")}
	}
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := c.abroad.Do(req)
	if err != nil {
		return nil, &Error{Op: opOffloaded, Err: withoutAddress(err)}
	}
	if resp.StatusCode != http.StatusOK {
		drain(resp.Body)
		return nil, &Error{Op: opOffloaded, StatusCode: resp.StatusCode, foreign: true}
	}
	if err := uncompress(resp); err != nil {
		drain(resp.Body)
		return nil, &Error{Op: opOffloaded, StatusCode: resp.StatusCode, Err: err, unreadable: true}
	}
	return resp, nil
}
