package main_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// banned are words of an old house dialect, and British spellings of the field's terms,
// where they are prose and not a name. docs/glossary.md says what to write instead.
var banned = regexp.MustCompile(`(?:^|[\s("*])((?:[Ww]hoever|[Ww]homever|anew|nought|told|mend|mends|mended|mending|` +
	`[Aa]uthoris(?:e|es|ed|ing|ations?)|honours?|honoured|labelled|favour|favours|behaviours?|recognis(?:e|es|ed|ing))\b)`)

// bannedNames are words of that dialect in names of packages, types, functions and fields.
var bannedNames = []string{"wish", "wishes", "told", "oops", "nought", "anew", "whoever", "mend", "postman", "boxes", "door", "doors"}

// quotesThem lists the files that name the banned words in order to ban them.
var quotesThem = []string{"docs/glossary.md", "cmd/paylink/words_test.go"}

// TestWords finds banned words in documents, scripts and comments, and in names of Go code outside
// of tests.
func TestWords(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if slices.Contains([]string{".git", ".cache", "bin", "data", "testdata", "node_modules"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if slices.Contains(quotesThem, name) || strings.HasSuffix(name, "_templ.go") {
			return nil
		}
		switch filepath.Ext(name) {
		case ".md", ".yaml", ".yml", ".sh":
			text, err := os.ReadFile(path)
			for i, line := range bytes.Split(text, []byte("\n")) {
				for _, word := range banned.FindAllSubmatch(line, -1) {
					t.Errorf("%s:%d: %s", name, i+1, word[1])
				}
			}
			return err
		case ".go":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found := func(line int, word string) { t.Errorf("%s:%d: %s", name, line, word) }
			wordsOfGo(text, found)
			if !strings.HasSuffix(name, "_test.go") {
				return namesOfGo(text, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wordsOfGo calls found for each banned word in a comment.
func wordsOfGo(source []byte, found func(line int, word string)) {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, kind, text := s.Scan()
		switch {
		case kind == token.EOF:
			return
		case kind == token.COMMENT:
			for _, at := range banned.FindAllStringSubmatchIndex(text, -1) {
				word := text[at[2]:at[3]]
				found(files.Position(pos).Line+strings.Count(text[:at[2]], "\n"), word)
			}
		}
	}
}

// namesOfGo calls found for each name that contains a banned word. Names inside of functions are
// not checked.
func namesOfGo(source []byte, found func(line int, name string)) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	check := func(names ...*ast.Ident) {
		for _, n := range names {
			for _, word := range wordOfName.FindAllString(n.Name, -1) {
				if slices.Contains(bannedNames, strings.ToLower(word)) {
					found(files.Position(n.Pos()).Line, n.Name)
				}
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.File:
			check(n.Name)
		case *ast.FuncDecl:
			check(n.Name)
		case *ast.TypeSpec:
			check(n.Name)
		case *ast.ValueSpec:
			check(n.Names...)
		case *ast.Field:
			check(n.Names...)
		case *ast.BlockStmt:
			return false
		}
		return true
	})
	return nil
}

var wordOfName = regexp.MustCompile(`[A-Z]?[a-z]+`)

// TestNamesOfGo plants a banned word in each kind of name.
func TestNamesOfGo(t *testing.T) {
	source := []byte(
		"package p\n\ntype wish struct{ Told, outbox int }\nvar door = 1\nfunc (w wish) mendIt(oops int) { told := 1; _ = told }\n",
	)
	var got []string
	err := namesOfGo(source, func(line int, name string) { got = append(got, string(rune('0'+line))+name) })
	if want := []string{"3wish", "3Told", "4door", "5mendIt", "5oops"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("found %q, %v, want %q", got, err, want)
	}
}

// TestWordsOfGo plants a banned word in each kind of text.
func TestWordsOfGo(t *testing.T) {
	source := []byte("package p\n\n// Whoever.\nconst a = \"anew\"\nconst b = \"once anew\"\n/* one\ntold */\n")
	var got []string
	wordsOfGo(source, func(line int, word string) { got = append(got, string(rune('0'+line))+word) })
	if want := []string{"3Whoever", "7told"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
