// Mutate plants known bugs, one at a time, and reports which test finds each.
//
// A bug is planted with the go command's -overlay flag: the build reads a changed copy
// of one file, and the working tree is not touched. The named suites run in order until
// one fails. A bug that no suite finds is a missing test.
//
// Usage, in the module's root:
//
//	go run ./tools/mutate [-run REGEXP] [-docs docs/safety.md]
//
// Each result is written to the table in the document as soon as it is known, so an
// interrupted run loses one bug. A run of some bugs keeps the rows of the others.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mutation is one deliberate bug.
type mutation struct {
	ID   string
	What string // what the bug does, for a reader of the table
	File string // from the module's root
	Old  string // occurs exactly once in File
	New  string
	// Suites are arguments of go test, one suite each, cheapest first.
	Suites []string
}

// mutations are all bugs, in the order of the table.
func mutations() []mutation {
	return slices.Concat(machine, books, carriers, stores, access, people, edge, attempts, cards, doings)
}

// testTime limits one suite. A bug that makes a test hang is also found.
const testTime = "4m"

func main() {
	only := flag.String("run", "", "plant only the bugs whose ID or file matches this regular expression")
	docs := flag.String("docs", "docs/safety.md", "the document that holds the table")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *docs); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, docs string) error {
	want, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	table, err := readTable(docs)
	if err != nil {
		return err
	}
	survived := 0
	var broken []error // bugs that could not be planted; the others are
	for _, m := range mutations() {
		if !want.MatchString(m.ID) && !want.MatchString(m.File) {
			continue
		}
		start := time.Now()
		found, err := m.plant(ctx)
		if err != nil {
			broken = append(broken, fmt.Errorf("%s: %w", m.ID, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		fmt.Printf("%s %-50s %s (%.0f s)\n", m.ID, m.What, found, time.Since(start).Seconds())
		if found == survivor {
			survived++
		}
		table[m.ID] = found
		if err := writeTable(docs, table); err != nil {
			return err
		}
	}
	if survived > 0 {
		broken = append(broken, fmt.Errorf("%d bugs were found by no suite", survived))
	}
	return errors.Join(broken...)
}

// survivor is the result of a bug that no suite found.
const survivor = "**nothing**"

// mutated returns the file with the bug in it. It returns an error if the old text does not occur
// exactly once.
func (m mutation) mutated(root string) ([]byte, error) {
	source, err := os.ReadFile(filepath.Join(root, m.File))
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(source, []byte(m.Old)); n != 1 {
		return nil, fmt.Errorf("the old text occurs %d times in %s, and must occur once: %q", n, m.File, m.Old)
	}
	return bytes.Replace(source, []byte(m.Old), []byte(m.New), 1), nil
}

// plant runs the suites with the bug and returns the test that found it.
func (m mutation) plant(ctx context.Context) (string, error) {
	source, err := m.mutated(".")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system removes a leftover
	path, err := filepath.Abs(m.File)
	if err != nil {
		return "", err
	}
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(changed, source, 0o600), os.WriteFile(overlay, list, 0o600)); err != nil {
		return "", err
	}
	for _, suite := range m.Suites {
		args := append([]string{"test", "-overlay", overlay, "-failfast", "-vet", "off", "-timeout", testTime}, strings.Fields(suite)...)
		out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput() //nolint:gosec // the list's own suites
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err == nil {
			continue
		}
		return verdict(suite, out)
	}
	return survivor, nil
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// verdict returns the failed test from the output of go test.
func verdict(suite string, out []byte) (string, error) {
	at := strings.TrimPrefix(strings.Fields(suite)[0], "./")
	if bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")) {
		return "", fmt.Errorf("the bug does not compile:\n%s", out)
	}
	if test := failed.FindSubmatch(out); test != nil {
		return fmt.Sprintf("`%s` in %s", test[1], at), nil
	}
	switch {
	case bytes.Contains(out, []byte("panic: test timed out")):
		return "a timeout in " + at, nil
	case bytes.Contains(out, []byte("panic:")):
		return "a panic in " + at, nil
	}
	return "", fmt.Errorf("go test failed, and names no test:\n%s", out)
}
