// Command langsmithsim is a LangSmith that runs anywhere: it answers LangSmith's API, v1 and v2, with the
// traffic of imaginary agents, takes what the SDKs send, and misbehaves on request.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/sim"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/traffic"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "langsmithsim:", err)
			stop()
			os.Exit(1) //nolint:gocritic // stop has run
		}
	}
}

const usage = `langsmithsim answers the LangSmith API with simulated agent traffic.

Usage: langsmithsim [flags]

`

const adminHelp = `
Any key but none is accepted unless --key is given; a key that contains "_org_" needs the header X-Tenant-Id.

Admin endpoints, without a key:
  GET  /admin/totals    calls, errors, tokens and exact cost of all finished runs
  GET  /admin/runs      every finished run, a line of JSON each (?project=name, ?all=true with pending runs)
  POST /admin/runs      insert runs as v1 or v2 tells them: an array, or a page
  GET  /admin/requests  requests by endpoint and status
  POST /admin/faults    misbehave: [{"match":"POST /api/v2/runs/query","kind":"status","status":429,"count":3}]
                        kinds: status html403 slow truncate reset too_large clock late repeat_cursor drop_cursor
                        malformed_run invalid_json invalid_utf8 huge_run absurd_times unknown_enum offload
                        also: skip, probability, retry_after, delay ("2s"), bytes, body; [] ends it
  GET  /admin/faults    the faults in force, and how often each struck
  POST /admin/traffic   {"rate": 20} traces per second; 0 stops new traces
  DELETE /admin/traces/{id}  forget a trace, as retention does
`

type options struct {
	listen   string
	portFile string
	history  traffic.History
	cfg      sim.Config
}

func parse(args []string, errOut io.Writer) (options, error) {
	o := options{cfg: sim.Config{Traffic: traffic.DefaultConfig(), V1: true, V2: true}, history: traffic.History{Duration: time.Hour}}
	fs := flag.NewFlagSet("langsmithsim", flag.ContinueOnError)
	fs.SetOutput(errOut)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:1984", "`address` to listen on; port 0 picks a free one, which is printed")
	fs.StringVar(&o.portFile, "port-file", "", "write the port to this `file` once the API answers")
	fs.Float64Var(&o.cfg.Rate, "rate", 5, "traces per `second` of live traffic; 0 for none (a trace has about 10 runs)")
	fs.Func("history", "what happened before the start: a `duration` such as 1h, or a number of runs such as 50000 (default 1h)", func(s string) error {
		if n, err := strconv.Atoi(s); err == nil && n >= 0 {
			o.history.Runs, o.history.Duration = n, 0
			return nil
		}
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 {
			return errors.New("must be a duration such as 1h or a number of runs")
		}
		o.history.Duration, o.history.Runs = d, 0
		return nil
	})
	fs.DurationVar(&o.history.Span, "span", 0, "spread a history given in runs over about this `duration` (default: at --rate)")
	fs.Uint64Var(&o.cfg.Traffic.Seed, "seed", 1, "`number` that all chance follows from, ids included")
	fs.Float64Var(&o.cfg.Traffic.LateShare, "late", o.cfg.Traffic.LateShare, "`share` of live traces that reach the server late")
	fs.DurationVar(&o.cfg.Traffic.LateBy, "late-by", o.cfg.Traffic.LateBy, "about `how` late they are")
	fs.Float64Var(&o.cfg.Traffic.StuckShare, "stuck", o.cfg.Traffic.StuckShare, "`share` of traces that never end")
	fs.Func("api", "generations of the API that exist: both, v1 (a self-hosted server before 0.16) or `v2` (default both)", func(s string) error {
		switch s {
		case "both", "v1", "v2":
			o.cfg.V1, o.cfg.V2 = s != "v2", s != "v1"
			return nil
		}
		return errors.New("must be both, v1 or v2")
	})
	fs.StringVar(&o.cfg.Version, "server-version", "", "`version` that /info tells (default: one that fits --api)")
	fs.StringVar(&o.cfg.Key, "key", "", "the only API `key` accepted (default: any)")
	fs.BoolVar(&o.cfg.Limit, "rate-limit", false, "enforce the cloud's published request limits")
	fs.Func("start", "`time` (RFC 3339) up to which history reaches and at which live traffic begins (default now)", func(s string) (err error) {
		o.cfg.Start, err = time.Parse(time.RFC3339, s)
		return err
	})
	fs.Usage = func() {
		fmt.Fprint(errOut, usage)
		fs.PrintDefaults()
		fmt.Fprint(errOut, adminHelp)
	}
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; see --help", fs.Arg(0))
	}
	if !(o.cfg.Rate >= 0 && o.cfg.Rate <= 10_000) {
		return o, errors.New("--rate must be between 0 and 10000 traces per second")
	}
	for name, share := range map[string]float64{"late": o.cfg.Traffic.LateShare, "stuck": o.cfg.Traffic.StuckShare} {
		if !(share >= 0 && share <= 1) {
			return o, fmt.Errorf("--%s must be between 0 and 1", name)
		}
	}
	o.cfg.History = o.history
	return o, nil
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	o, err := parse(args, errOut)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w; choose another address, such as 127.0.0.1:0", o.listen, err)
	}
	s := sim.New(o.cfg)
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second}
	addr := listener.Addr().(*net.TCPAddr)
	fmt.Fprintf(out, "listening on http://%s\n", addr)
	fmt.Fprintf(out, "%d runs of history, %g traces/s of live traffic, seed %d\n", s.History, o.cfg.Rate, o.cfg.Traffic.Seed)
	if o.portFile != "" {
		if err := os.WriteFile(o.portFile, []byte(strconv.Itoa(addr.Port)), 0o644); err != nil {
			_ = listener.Close()
			return fmt.Errorf("--port-file: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	live := make(chan struct{})
	go func() { defer close(live); s.Run(ctx) }()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		grace, done := context.WithTimeout(context.Background(), 2*time.Second)
		defer done()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
		<-failed
	}
	cancel()
	<-live
	return err
}
