package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestBounds holds the table "What is bounded" of ARCHITECTURE.md to the code: each package
// declares each of its names, with a comment of its own or of its group.
func TestBounds(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## What is bounded\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\| (.+) \\|$").FindAllStringSubmatch(section, -1)
	if len(rows) == 0 {
		t.Fatal("ARCHITECTURE.md has no table of bounds")
	}
	for _, row := range rows {
		commented := valuesOf(t, filepath.Join("..", "..", "internal", filepath.FromSlash(row[1])))
		for _, name := range strings.Fields(row[2]) {
			name = strings.Trim(name, "`")
			switch has, declared := commented[name]; {
			case !declared:
				t.Errorf("%s declares no %s", row[1], name)
			case !has:
				t.Errorf("%s in %s has no comment that says what it limits", name, row[1])
			}
		}
	}
}

// valuesOf maps the constants and variables of a package to whether they have a comment.
func valuesOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	commented := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range group.Specs {
				if v, ok := s.(*ast.ValueSpec); ok {
					for _, name := range v.Names {
						commented[name.Name] = group.Doc != nil || v.Doc != nil || v.Comment != nil
					}
				}
			}
		}
	}
	return commented
}
