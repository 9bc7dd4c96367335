package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// The marks around the table.
const (
	tableStart = "<!-- mutations: written by make mutate -->\n"
	tableEnd   = "<!-- end of mutations -->"
)

var row = regexp.MustCompile(`(?m)^\| ([A-Z]\d+) \| .* \| (.*) \|$`)

// split splits the document at its marks.
func split(path string) (before, table, after []byte, err error) {
	doc, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, nil, err
	}
	before, rest, ok := bytes.Cut(doc, []byte(tableStart))
	table, after, closed := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !closed {
		return nil, nil, nil, fmt.Errorf("%s lacks the marks %q and %q", path, tableStart, tableEnd)
	}
	return before, table, after, nil
}

// readTable returns what found each bug when it was last planted.
func readTable(path string) (map[string]string, error) {
	_, table, _, err := split(path)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, m := range row.FindAllSubmatch(table, -1) {
		found[string(m[1])] = string(m[2])
	}
	return found, nil
}

// writeTable replaces the table. Bugs that were never planted are listed below it, and do not
// count.
func writeTable(path string, found map[string]string) error {
	before, _, after, err := split(path)
	if err != nil {
		return err
	}
	var rows, missing strings.Builder
	planted, caught := 0, 0
	for _, m := range mutations() {
		by, ok := found[m.ID]
		if !ok {
			missing.WriteString(", " + m.ID)
			continue
		}
		planted++
		if by != survivor {
			caught++
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %s |\n", m.ID, m.What, strings.TrimPrefix(m.File, "internal/"), by)
	}
	var out bytes.Buffer
	out.Write(before)
	fmt.Fprintf(&out, "%sFound %d of %d planted.\n\n", tableStart, caught, planted)
	out.WriteString("| bug | what it does | file | found by |\n|---|---|---|---|\n" + rows.String())
	if missing.Len() > 0 {
		fmt.Fprintf(&out, "\nNot planted yet: %s.\n", strings.TrimPrefix(missing.String(), ", "))
	}
	out.WriteString(tableEnd)
	out.Write(after)
	return os.WriteFile(path, out.Bytes(), 0o644) //nolint:gosec // a document that everybody reads
}
