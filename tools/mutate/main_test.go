package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutationsStillFit checks that every bug can still be planted. A change of the code must
// update its bugs.
func TestMutationsStillFit(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutations() {
		source, err := m.mutated("../..")
		if err != nil {
			t.Errorf("%s: %v", m.ID, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.File, source, parser.SkipObjectResolution); err != nil {
			t.Errorf("%s: %v", m.ID, err)
		}
		if seen[m.ID] || m.What == "" || len(m.Suites) == 0 || strings.Contains(m.What, "|") {
			t.Errorf("%s is there twice, or incomplete", m.ID)
		}
		seen[m.ID] = true
		for _, suite := range m.Suites {
			if _, err := os.Stat(filepath.Join("../..", strings.Fields(suite)[0])); err != nil {
				t.Errorf("%s: %v", m.ID, err)
			}
		}
	}
}

// TestTable checks that results are written to the document and read back, and that removed bugs
// disappear.
func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(path, []byte("before\n"+tableStart+tableEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := mutations()
	if err := writeTable(path, map[string]string{all[0].ID: "`TestX` in internal/payment", all[1].ID: survivor, "X99": "gone"}); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := string(doc)
	if !strings.HasPrefix(s, "before\n") || !strings.HasSuffix(s, "\nafter\n") || !strings.Contains(s, "Found 1 of 2 planted.") {
		t.Errorf("wrote %s", s)
	}
	found, err := readTable(path)
	if err != nil || len(found) != 2 || found[all[0].ID] != "`TestX` in internal/payment" || found[all[1].ID] != survivor {
		t.Errorf("read %v, %v", found, err)
	}
}

func TestVerdict(t *testing.T) {
	for out, want := range map[string]string{
		"--- FAIL: TestA (0.01s)\n    --- FAIL: TestA/b (0.01s)\nFAIL": "`TestA` in internal/x",
		"panic: test timed out after 4m":                               "a timeout in internal/x",
		"panic: boom":                                                  "a panic in internal/x",
		"x.go:1: undefined: y\nFAIL x [build failed]":                  "",
		"signal: killed":                                               "",
	} {
		if got, err := verdict("./internal/x -run Y", []byte(out)); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", out, got, err)
		}
	}
}
