package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEveryFlagIsDocumented checks that the documents list every flag of the real parser, those
// of commands that call a server in docs/cli.md and all others in docs/operate/configure.md, and
// no other flag.
func TestEveryFlagIsDocumented(t *testing.T) {
	var c commands
	parser, err := kong.New(&c, kong.Name("paylink"), kong.DefaultEnvars("PAYLINK"))
	if err != nil {
		t.Fatal(err)
	}
	documents, all := map[string]string{}, []string{}
	for _, name := range []string{"cli.md", "operate/configure.md"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "docs", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		documents[name] = string(raw)
	}
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		document := "operate/configure.md"
		if isRemote(n) {
			document = "cli.md"
		}
		for _, f := range n.Flags {
			all = append(all, f.Name)
			if f.Name != "help" && !regexp.MustCompile(`--`+f.Name+`\b[^-]`).MatchString(documents[document]) {
				t.Errorf("docs/%s lacks --%s of paylink %s", document, f.Name, n.Path())
			}
		}
		for _, child := range n.Children {
			visit(child)
		}
	}
	visit(parser.Model.Node)
	for name, text := range documents {
		for _, flag := range regexp.MustCompile("`--[a-z-]+").FindAllString(text, -1) {
			if flag = strings.TrimPrefix(flag, "`--"); !slices.Contains(all, flag) {
				t.Errorf("docs/%s has --%s, which no command takes", name, flag)
			}
		}
	}
}
