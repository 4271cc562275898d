package langsmith

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
)

// ClientConfig is how to reach a server.
type ClientConfig struct {
	// Endpoint as the user wrote it; see [NormalizeEndpoint].
	Endpoint string
	// APIKey is called for every request, concurrently.
	APIKey func() string
	// WorkspaceID goes along as X-Tenant-Id when it is set.
	WorkspaceID string
	// HTTP does the requests; nil means a client with a timeout of two minutes. It is copied, and the copy
	// follows redirects only to the same host, because the key would go along. Its Timeout bounds how long a request
	// waits for the header of the answer, and for each part of its body; the time inside of yield does not count.
	HTTP *http.Client
	// Storage reads offloaded bodies from other servers; nil means a plain client. It must not add credentials.
	Storage *http.Client
	// APIVersion is the version of the runs API to use.
	APIVersion APIVersion
	// MaxRunBytes is the size above which a run is skipped; zero means 256 MiB.
	MaxRunBytes int64
	// Budget bounds the request rate, usually from [SharedBudget]; nil means one of its own.
	Budget *Budget
	// BudgetOf, if set, returns the budget of a key instead. It is called for every request, concurrently.
	BudgetOf func(key string) *Budget
	// UserAgent goes along when it is set.
	UserAgent string
	// OnExchange, if set, is told of every request that was made or given up, for telemetry. It is called
	// concurrently.
	OnExchange func(Exchange)
}

// Exchange is one request and the beginning of its answer.
type Exchange struct {
	// Op is what was asked for, such as "query runs": one of few words.
	Op string
	// Class is what it counted as.
	Class Class
	// StatusCode is zero when there was no answer.
	StatusCode int
	// Waited is how long the request budget held it back.
	Waited time.Duration
	// Took is the time from sending it to the answer's header.
	Took time.Duration
}

// Client talks to one LangSmith server as one key. It is safe for concurrent use.
type Client struct {
	cfg      ClientConfig
	base     string
	http     *http.Client // without a timeout: see patience
	timeout  time.Duration
	abroad   *http.Client // for other servers: adds nothing to a request
	budget   *Budget
	decoders sync.Pool
	clock    clock

	detecting sync.Mutex // held while the server is asked for its version

	mu       sync.Mutex
	server   Server
	detected time.Time       // when server was found out
	sunset   string          // as the last answer of v1 announced
	refused  map[string]bool // names of select lists that the server does not know
	sizers   map[sizerKey]*pageSizer
}

// NewClient checks the configuration; it makes no request.
func NewClient(cfg ClientConfig) (*Client, error) {
	base, err := NormalizeEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	if cfg.APIKey == nil {
		return nil, errors.New("api_key: none is set")
	}
	plain := http.Client{Timeout: 2 * time.Minute}
	if cfg.HTTP != nil {
		plain = *cfg.HTTP
	}
	plain.CheckRedirect = sameHost
	timeout := plain.Timeout
	plain.Timeout = 0
	c := &Client{
		cfg: cfg, base: base, http: &plain, timeout: timeout, abroad: cfg.Storage, budget: cfg.Budget,
		refused: map[string]bool{}, sizers: map[sizerKey]*pageSizer{},
	}
	if c.abroad == nil {
		// The configured client may add headers, which are secrets as well.
		c.abroad = &http.Client{}
	}
	if c.budget == nil {
		c.budget = NewBudget(base)
	}
	c.decoders.New = func() any { return NewDecoder(cfg.MaxRunBytes) }
	return c, nil
}

// Endpoint is the normalized endpoint.
func (c *Client) Endpoint() string { return c.base }

// sameHost refuses redirects that would carry the key elsewhere or unencrypted, or that would turn a query into
// a GET without its body.
func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) >= 5 || next.URL.Host != first.URL.Host || next.Method != first.Method ||
		first.URL.Scheme == "https" && next.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	return nil
}

// request is one call of the API.
type request struct {
	op     string
	class  Class
	method string
	path   string // behind the base
	query  url.Values
	body   any // written as JSON; nil for none
	// background lets other requests go first when the budget is short.
	background bool
}

// send does a request and returns the answer when it is a success; its body is uncompressed already. The caller
// closes it. Any error is an *Error.
func (c *Client) send(ctx context.Context, q request) (*http.Response, error) {
	exchange := Exchange{Op: q.op, Class: q.class}
	if c.cfg.OnExchange != nil {
		defer func() { c.cfg.OnExchange(exchange) }()
	}
	budget := c.budget
	if c.cfg.BudgetOf != nil {
		budget = c.cfg.BudgetOf(strings.TrimSpace(c.cfg.APIKey()))
	}
	var err error
	if exchange.Waited, err = budget.wait(ctx, q.class, q.background); err != nil {
		return nil, &Error{Op: q.op, Err: err}
	}
	var body io.Reader
	if q.body != nil {
		// Filters hold < and >, which need no escape outside of HTML.
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(q.body); err != nil {
			return nil, &Error{Op: q.op, Err: err}
		}
		body = &text
	}
	address := c.base + q.path
	if len(q.query) > 0 {
		address += "?" + q.query.Encode()
	}
	patience := newPatience(ctx, c.timeout)
	req, err := http.NewRequestWithContext(patience.ctx, q.method, address, body)
	if err != nil {
		patience.end()
		return nil, &Error{Op: q.op, Err: err}
	}
	key := strings.TrimSpace(c.cfg.APIKey())
	req.Header.Set("X-API-Key", key)
	req.Header.Set("Accept", "application/json")
	// Setting this by hand leaves uncompressing to us, with a faster library than the transport's.
	req.Header.Set("Accept-Encoding", "gzip")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.cfg.WorkspaceID != "" {
		req.Header.Set("X-Tenant-Id", c.cfg.WorkspaceID)
	}
	if c.cfg.UserAgent != "" {
		req.Header.Set("User-Agent", c.cfg.UserAgent)
	}
	began := time.Now()
	resp, err := c.http.Do(req)
	exchange.Took = time.Since(began)
	patience.pause()
	if err != nil {
		err = patience.explain(err)
		patience.end()
		return nil, &Error{Op: q.op, Err: withoutAddress(err)}
	}
	c.clock.answered(resp.Header, began, began.Add(exchange.Took))
	resp.Body = &patientBody{ReadCloser: resp.Body, patience: patience}
	exchange.StatusCode = resp.StatusCode
	if err := uncompress(resp); err != nil {
		drain(resp.Body)
		return nil, &Error{Op: q.op, StatusCode: resp.StatusCode, Err: err, unreadable: resp.StatusCode < 300}
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer drain(resp.Body)
	// An error of the body's end does not matter: what came is worth telling.
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	failed := failure(q.op, resp.StatusCode, resp.Header, text, key, time.Now())
	switch failed.StatusCode {
	case http.StatusTooManyRequests:
		budget.Throttled(q.class, failed.RetryAfter)
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		budget.Strained(q.class)
	}
	return nil, failed
}

// read does a request and decodes an answer of at most maxBytes.
func (c *Client) read(ctx context.Context, q request, maxBytes int64, into any) error {
	resp, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	defer drain(resp.Body)
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	switch {
	case err != nil:
		return &Error{Op: q.op, StatusCode: resp.StatusCode, Err: withoutAddress(err), unreadable: true}
	case int64(len(text)) > maxBytes:
		return &Error{Op: q.op, StatusCode: resp.StatusCode, Err: errTooLarge}
	}
	if err := json.Unmarshal(text, into); err != nil {
		// The decoder's own text may repeat what it read.
		return &Error{Op: q.op, StatusCode: resp.StatusCode, Err: errSyntax, unreadable: true}
	}
	return nil
}

// withoutAddress takes the method and address off an error: the operation is named already.
func withoutAddress(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

var unzippers sync.Pool

// uncompress replaces a compressed body.
func uncompress(resp *http.Response) error {
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return nil
	}
	z, _ := unzippers.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	if err := z.Reset(resp.Body); err != nil {
		unzippers.Put(z)
		if errors.Is(err, io.EOF) {
			return errTruncated
		}
		return err
	}
	resp.Body = &unzipped{zip: z, body: resp.Body}
	return nil
}

// unzipped is a body whose unzipper goes back to the pool when it is closed.
type unzipped struct {
	zip  *gzip.Reader
	body io.ReadCloser
}

func (u *unzipped) Read(p []byte) (int, error) {
	if u.zip == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return u.zip.Read(p)
}

func (u *unzipped) Close() error {
	if u.zip != nil {
		unzippers.Put(u.zip)
		u.zip = nil
	}
	// The rest of the compressed answer is read so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, u.body, maxErrorBody)
	return u.body.Close()
}

// drain reads what is left of a body, if it is not much, so that the connection can be used again.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxErrorBody)
	_ = body.Close()
}
