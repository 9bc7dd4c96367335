package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

// run sends the tally one event per line, written "action test output", for package m/p.
func run(t *testing.T, required []string, lines ...string) (string, bool) {
	t.Helper()
	var in strings.Builder
	for _, line := range lines {
		action, rest, _ := strings.Cut(line, " ")
		name, output, _ := strings.Cut(rest, " ")
		raw, err := json.Marshal(event{Action: action, Package: "m/p", ImportPath: "m/p", Test: name, Output: output, Elapsed: 6})
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(raw, '\n'))
	}
	var out strings.Builder
	tally := newTally(&out, "m/", []string{"SQLite", "PostgreSQL"})
	if err := tally.read(strings.NewReader(in.String()), nil); err != nil {
		t.Fatal(err)
	}
	good := tally.sum(time.Minute, required)
	return out.String(), good
}

func TestTally(t *testing.T) {
	for _, row := range []struct {
		name     string
		required []string
		lines    []string
		good     bool
		has, not []string
	}{
		{"a pass", nil, []string{"output TestA noise\n", "pass TestA", "pass "}, true,
			[]string{"ok  \tm/p\t6.0s\t1 tests", "p TestA\t6.0s", "1 passed, 0 failed, 0 skipped"}, []string{"noise"}},
		{"a failure is shown", nil, []string{"output TestA why\n", "output TestB fine\n", "fail TestA", "pass TestB", "fail "}, false,
			[]string{"why\n", "FAIL: p TestA"}, []string{"fine\n"}},
		{"a skip fails", nil, []string{"skip TestA", "pass "}, false, []string{"FAIL: skipped p TestA"}, nil},
		{"no test fails", nil, []string{"skip "}, false, []string{"0 passed"}, nil},
		{"a test that never ended", nil, []string{"output TestA panic: oops\n", "fail "}, false, []string{"panic: oops", "FAIL: p TestA"}, nil},
		{"a process that never ended", nil, []string{"output TestA half\n"}, false, []string{"half"}, nil},
		{"what does not compile", nil, []string{"build-output  no such thing\n", "build-fail ", "fail "}, false,
			[]string{"no such thing", "FAIL\tm/p"}, nil},
		{"an engine by path", []string{"SQLite"}, []string{"pass TestA/SQLite/x", "pass TestA/SQLite", "pass TestA", "pass "}, true,
			[]string{"SQLite 1 tests", "1 passed"}, nil},
		{"an engine by its log", []string{"PostgreSQL"}, []string{"output TestA     x.go:1: engine: PostgreSQL\n", "pass TestA/one",
			"pass TestA/two", "pass TestA", "pass "}, true, []string{"PostgreSQL 2 tests"}, nil},
		{"an engine that ran none", []string{"PostgreSQL"}, []string{"pass TestA", "pass "}, false, []string{"no test ran on PostgreSQL"}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			out, good := run(t, row.required, row.lines...)
			if good != row.good {
				t.Errorf("good is %v:\n%s", good, out)
			}
			for _, s := range row.has {
				if !strings.Contains(out, s) {
					t.Errorf("lacks %q:\n%s", s, out)
				}
			}
			for _, s := range row.not {
				if strings.Contains(out, s) {
					t.Errorf("has %q:\n%s", s, out)
				}
			}
		})
	}
}

func TestStillRunning(t *testing.T) {
	in, feed := io.Pipe()
	tick, ended := make(chan time.Time), make(chan error)
	out := &strings.Builder{}
	tally := newTally(out, "m/", nil)
	go func() { ended <- tally.read(in, tick) }()
	tick <- time.Now()
	for _, line := range []string{`{"Action":"start","Package":"m/p"}`, `{"Action":"pass","Package":"m/p","Test":"TestA"}`} {
		if _, err := io.WriteString(feed, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	_ = feed.Close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	tally.still(time.Minute)
	if got, want := out.String(), "    \t0s: 0 tests passed; now compiling\n    \t1m0s: 1 tests passed; now p\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
