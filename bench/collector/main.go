// Command collector measures the whole collector: what it costs to read runs of about 5 KB from an API, to send them
// on as OTLP and to count them, beside a script with the official SDK that only counts them.
//
// The API, which is of the simulator's rows under new ids and times, and the OTLP backend run in a process of their
// own; what is told is the CPU time of the collector, and of the script, alone.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

func main() {
	repo := flag.String("repo", "..", "the checkout, with the built binaries in bin/")
	only := flag.String("only", "", "run the scenarios whose names begin like this, without the SDK's")
	profile := flag.String("profile", "", "write profiles of CPU and heap of each scenario into this `folder`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "collector measures the whole collector beside a script with the official SDK.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.Arg(0) == "serve" {
		serve(flag.Args()[1:])
		return
	}
	if err := run(*repo, *only, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "collector:", err)
		os.Exit(1)
	}
}

func run(repo, only, profile string) error {
	repo, err := filepath.Abs(repo)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "scenario\tB/run\truns/s\tCPU of a core\tgoal\tus CPU/run\truns/s per core\tgoal\tRSS\tgoal\tanonymous")
	results := map[string]result{}
	for _, s := range scenarios {
		if !strings.HasPrefix(s.name, only) {
			continue
		}
		r, err := s.measure(repo, profile)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		results[s.name] = r
		s.print(table, r)
		_ = table.Flush()
	}
	if only != "" && only != "SDK" {
		return nil
	}
	if _, err := exec.LookPath("node"); err != nil {
		fmt.Println("Node is not installed: nothing to compare with")
		return nil
	}
	for _, s := range scripts {
		r, err := s.measure(repo)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		s.print(table, r, results[s.beside])
		_ = table.Flush()
	}
	return nil
}
