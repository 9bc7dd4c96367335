// Tally reads what go test -json prints and writes what a person wants to know while
// tests run: a line for each package, a line for each slow test, the whole output of
// whatever failed, a line now and then while nothing ends, and at the end where the time
// went and how many tests ran on each engine. It exits with status 1 if something failed, if a test was skipped, or, under
// -engines, if an engine ran no test.
//
// A test runs on an engine if the engine's name is part of its path, or if the test or
// one that it is part of logs "engine: NAME", as the helpers that start engines do.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// slow is the duration from which a test gets its own line while others still run.
const slow = 5.0 // seconds

// quiet is the silence after which a line is written.
const quiet = 30 * time.Second

// slowest limits the list of the slowest tests.
const slowest = 12

// event is what go test -json and go build -json print (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64 // seconds
}

// test is one test or subtest of a package.
type test struct {
	result  string
	output  []string
	seconds float64
	parent  bool // has subtests, which are counted in its place
}

// tally is the state of a run.
type tally struct {
	out      io.Writer
	strip    string // the module's path, left out of lines
	engines  []string
	running  map[string]map[string]*test // package, test
	counted  map[string]int              // engine
	passed   int
	going    int  // passed in packages that have not ended
	wrote    bool // a line since the last tick
	failed   []string
	skipped  []string
	times    []timed
	building map[string][]string
}

type timed struct {
	name    string
	seconds float64
}

func main() {
	engines := flag.String("engines", "", "comma-separated engines on which at least one test must run")
	module := flag.String("module", "github.com/paylink/paylink/", "prefix to leave out of package names")
	flag.Parse()
	began := time.Now()
	t := newTally(os.Stdout, *module, []string{"SQLite", "PostgreSQL", "DynamoDB", "Chromium"})
	still := time.NewTicker(quiet)
	defer still.Stop()
	if err := t.read(os.Stdin, still.C); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	var required []string
	if *engines != "" {
		required = strings.Split(*engines, ",")
	}
	if !t.sum(time.Since(began), required) {
		os.Exit(1)
	}
}

func newTally(out io.Writer, module string, engines []string) *tally {
	return &tally{
		out:      out,
		strip:    module,
		engines:  engines,
		running:  map[string]map[string]*test{},
		counted:  map[string]int{},
		building: map[string][]string{},
	}
}

// read reads every line of in. At each tick without a line since the last one, it reports what is
// still running.
func (t *tally) read(in io.Reader, tick <-chan time.Time) error {
	lines, ended := make(chan []byte), make(chan error, 1)
	go func() {
		from := bufio.NewReader(in)
		for {
			line, err := from.ReadBytes('\n')
			if len(line) > 0 {
				lines <- line
			}
			if err != nil {
				close(lines)
				ended <- err
				return
			}
		}
	}()
	began := time.Now()
	for {
		select {
		case line, more := <-lines:
			if !more {
				if err := <-ended; err != io.EOF {
					return err
				}
				return nil
			}
			t.line(line)
		case <-tick:
			if !t.wrote {
				t.still(time.Since(began))
			}
			t.wrote = false
		}
	}
}

// still reports what is running while nothing ends.
func (t *tally) still(since time.Duration) {
	names := make([]string, 0, len(t.running))
	for pkg := range t.running {
		names = append(names, t.short(pkg))
	}
	slices.Sort(names)
	if len(names) == 0 {
		names = []string{"compiling"}
	}
	fmt.Fprintf(t.out, "    \t%s: %d tests passed; now %s\n", since.Round(time.Second), t.passed+t.going, strings.Join(names, ", "))
}

// line handles one line: an event, or what a command printed beside them.
func (t *tally) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprint(t.out, string(line))
		return
	}
	switch e.Action {
	case "start":
		t.test(e)
	case "build-output":
		t.building[e.ImportPath] = append(t.building[e.ImportPath], e.Output)
	case "build-fail":
		fmt.Fprint(t.out, strings.Join(t.building[e.ImportPath], ""))
	case "output":
		at := t.test(e)
		at.output = append(at.output, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.ended(e)
			return
		}
		at := t.test(e)
		at.result, at.seconds = e.Action, e.Elapsed
		if e.Action == "pass" && !at.parent {
			t.going++
		}
		if e.Elapsed >= slow && !strings.Contains(e.Test, "/") {
			fmt.Fprintf(t.out, "    \t%s %s\t%.1fs\n", t.short(e.Package), e.Test, e.Elapsed)
			t.wrote = true
		}
	}
}

func (t *tally) short(pkg string) string { return strings.TrimPrefix(pkg, t.strip) }

// test returns the test of an event; the empty name holds what the package printed.
func (t *tally) test(e event) *test {
	tests := t.running[e.Package]
	if tests == nil {
		tests = map[string]*test{}
		t.running[e.Package] = tests
	}
	at := tests[e.Test]
	if at == nil {
		at = &test{}
		tests[e.Test] = at
		if cut := strings.LastIndexByte(e.Test, '/'); cut >= 0 {
			t.test(event{Package: e.Package, Test: e.Test[:cut]}).parent = true
		}
	}
	return at
}

// ended counts the tests of a package, and prints what failed or never ended.
func (t *tally) ended(e event) {
	pkg, tests := t.short(e.Package), t.running[e.Package]
	delete(t.running, e.Package)
	names := make([]string, 0, len(tests))
	for name := range tests {
		names = append(names, name)
	}
	slices.Sort(names)
	ran := 0
	for _, name := range names {
		at := tests[name]
		if e.Action == "fail" && at.result != "pass" && at.result != "skip" {
			fmt.Fprint(t.out, strings.Join(at.output, ""))
		}
		if name == "" {
			continue
		}
		if !strings.Contains(name, "/") {
			t.times = append(t.times, timed{pkg + " " + name, at.seconds})
		}
		if at.parent {
			continue
		}
		switch at.result {
		case "pass":
			ran++
			t.count(tests, name)
		case "skip":
			t.skipped = append(t.skipped, pkg+" "+name)
		default:
			t.failed = append(t.failed, pkg+" "+name)
		}
	}
	t.passed, t.going = t.passed+ran, t.going-ran
	t.wrote = true
	switch {
	case e.Action == "fail":
		t.failed = append(t.failed, pkg)
		fmt.Fprintf(t.out, "FAIL\t%s\t%.1fs\n", e.Package, e.Elapsed)
	case ran > 0:
		fmt.Fprintf(t.out, "ok  \t%s\t%.1fs\t%d tests\n", e.Package, e.Elapsed, ran)
	}
}

// count adds the test to each engine that it ran on.
func (t *tally) count(tests map[string]*test, name string) {
	for _, engine := range t.engines {
		on := slices.Contains(strings.Split(name, "/"), engine)
		for up := name; !on && up != ""; {
			if at := tests[up]; at != nil {
				on = slices.ContainsFunc(at.output, func(s string) bool { return strings.HasSuffix(s, " engine: "+engine+"\n") })
			}
			cut := max(strings.LastIndexByte(up, '/'), 0)
			up = up[:cut]
		}
		if on {
			t.counted[engine]++
		}
	}
}

// sum writes the summary, and reports whether everything passed.
func (t *tally) sum(took time.Duration, required []string) bool {
	for pkg := range t.running { // its process ended without an event
		t.ended(event{Action: "fail", Package: pkg})
	}
	slices.SortFunc(t.times, func(a, b timed) int { return int(1000 * (b.seconds - a.seconds)) })
	fmt.Fprintf(t.out, "where the time went, of %s:\n", took.Round(time.Second))
	for _, at := range t.times[:min(len(t.times), slowest)] {
		fmt.Fprintf(t.out, "    \t%s\t%.1fs\n", at.name, at.seconds)
	}
	words := make([]string, len(t.engines))
	for i, engine := range t.engines {
		words[i] = fmt.Sprintf("%s %d tests", engine, t.counted[engine])
	}
	fmt.Fprintf(t.out, "engines: %s\n", strings.Join(words, ", "))
	good := len(t.failed) == 0 && len(t.skipped) == 0 && t.passed > 0
	for _, engine := range required {
		if t.counted[engine] == 0 {
			fmt.Fprintf(t.out, "FAIL: no test ran on %s\n", engine)
			good = false
		}
	}
	for _, name := range t.skipped {
		fmt.Fprintf(t.out, "FAIL: skipped %s\n", name)
	}
	for _, name := range t.failed {
		fmt.Fprintf(t.out, "FAIL: %s\n", name)
	}
	fmt.Fprintf(t.out, "%d passed, %d failed, %d skipped\n", t.passed, len(t.failed), len(t.skipped))
	return good
}
