package rule_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fraud/rule"
)

// TestDocument checks docs/fraud-rules.md against the code: every example compiles and runs, and
// every variable is documented with its type.
func TestDocument(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "fraud-rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	examples := 0
	try := func(when string) {
		t.Helper()
		p, err := rule.Compile(when)
		if err != nil {
			t.Errorf("%s: %v", when, err)
			return
		}
		if _, err := p.Eval(attempt()); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		examples++
	}
	for _, m := range regexp.MustCompile("(?s)```cel\n(.*?)```").FindAllStringSubmatch(text, -1) {
		try(strings.TrimSpace(m[1]))
	}
	types := map[string]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, "¦"), "|")
		if len(cells) != 6 {
			continue
		}
		name, kind, example := strings.Trim(
			cells[1],
			" `",
		), strings.TrimSpace(
			cells[2],
		), strings.Trim(
			strings.ReplaceAll(cells[4], "¦", "|"),
			" `",
		)
		switch {
		case kind == "int" || kind == "double" || kind == "string" || kind == "bool":
			types[name] = kind
			try(example)
		case strings.HasPrefix(kind, "`") && strings.Contains(cells[3], "`"): // the default set
			try(strings.Trim(cells[3], " `"))
		}
	}
	if examples < 50 {
		t.Errorf("only %d examples were tried", examples)
	}
	window := regexp.MustCompile(`_(1h|1d|7d|30d)$`)
	for _, v := range rule.Variables() {
		kind, ok := types[v.Name]
		if entity, rest, dotted := strings.Cut(v.Name, "."); !ok && dotted && entity != "payer" {
			kind = types["X."+window.ReplaceAllString(rest, "_W")]
		}
		if kind != string(v.Type) {
			t.Errorf("%s is %s, and the document says %q", v.Name, v.Type, kind)
		}
	}
}
