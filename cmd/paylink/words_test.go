package main_test

import (
	"bytes"
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

// quotesThem lists the files that name the banned words in order to ban them.
var quotesThem = []string{"docs/glossary.md", "cmd/paylink/words_test.go"}

// TestWords finds banned words in documents, scripts and comments.
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
			wordsOfGo(text, func(line int, word string) { t.Errorf("%s:%d: %s", name, line, word) })
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

// TestWordsOfGo plants a banned word in each kind of text.
func TestWordsOfGo(t *testing.T) {
	source := []byte("package p\n\n// Whoever.\nconst a = \"anew\"\nconst b = \"once anew\"\n/* one\ntold */\n")
	var got []string
	wordsOfGo(source, func(line int, word string) { got = append(got, string(rune('0'+line))+word) })
	if want := []string{"3Whoever", "7told"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
