package main_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// standard is a document that goes through the requirements of a standard in tables.
type standard struct {
	file     string
	id       *regexp.Regexp
	columns  []string
	chapters map[string]int // the number of requirements of each; nil: those that matter to us
}

var standards = []standard{
	{"asvs.md", regexp.MustCompile(`^V\d+\.\d+\.\d+$`), []string{"id", "what it asks", "state", "shown by"}, map[string]int{
		"V1": 27, "V2": 11, "V3": 19, "V4": 10, "V5": 9, "V6": 35, "V7": 18, "V8": 7, "V9": 7, "V10": 29, "V11": 14, "V12": 9, "V13": 13,
		"V14": 9, "V15": 13, "V16": 16, "V17": 7, // all of level 1 and 2
	}},
	{"pci-dss.md", regexp.MustCompile(`^\d+\.\d+\.\d+(\.\d+)?$`), []string{"id", "what it asks", "whose", "state", "shown by"}, nil},
}

// maxAskWords bounds what a row says about a requirement: the standard has the text.
const maxAskWords = 12

var (
	requirementStates = []string{"yes", "partly", "no", "n/a"}
	requirementOwners = []string{"paylink", "operator", "both"}

	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w*)\(\w+ \*testing\.[TF]\)`)
	namedTest    = regexp.MustCompile("`((?:Test|Fuzz)\\w+)(?:/([^`]+))?`")
	namedLinters = regexp.MustCompile("linters? ((?:`[a-z]+` ?)+)(?:, rule `([a-z]+)`)?")
	namedFile    = regexp.MustCompile(`\[[^\]]+\]\(([^)#]*)(?:#([^)]*))?\)`)
)

// repository is what the documents may refer to.
type repository struct {
	tests   map[string]string // by name, the text of every file that has one of that name
	linters string
	folder  string // of the documents
}

// TestStandards checks the tables of requirements: their form, their order, that all that they name
// as evidence exists, that what is not met has a reason, and the counts here and in SECURITY.md.
func TestStandards(t *testing.T) {
	security, err := os.ReadFile(filepath.Join("..", "..", "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	r := readRepository(t)
	for _, s := range standards {
		raw, err := os.ReadFile(filepath.Join(r.folder, s.file))
		if err != nil {
			t.Fatal(err)
		}
		wrong, counts := s.check(string(raw), r)
		for _, w := range wrong {
			t.Errorf("%s: %s", s.file, w)
		}
		if !strings.Contains(string(security), "(docs/security/"+s.file+")") || !strings.Contains(string(security), counts) {
			t.Errorf("SECURITY.md does not link %s and say: %s", s.file, counts)
		}
	}
}

// TestStandardsAreChecked checks the check: each damaged row is reported.
func TestStandardsAreChecked(t *testing.T) {
	r := readRepository(t)
	s := standards[1]
	const good = "| 2.2.1 | say less | both | yes | `TestStandards` |"
	document := func(rows ...string) string {
		return "Of 1 requirements, 1 are met (`yes`), 0 in part (`partly`), 0 are not (`no`), and 0 do not apply (`n/a`).\n\n## 2 Two\n\n" +
			"| id | what it asks | whose | state | shown by |\n|---|---|---|---|---|\n" + strings.Join(rows, "\n") + "\n"
	}
	if wrong, _ := s.check(document(good), r); len(wrong) != 0 {
		t.Fatalf("a good row: %q", wrong)
	}
	for want, row := range map[string]string{
		"no id":            strings.Replace(good, "2.2.1", "V2.2.1", 1),
		"other chapter":    strings.Replace(good, "2.2.1", "3.2.1", 1),
		"cells":            strings.Replace(good, "| both ", "", 1),
		"13 words":         strings.Replace(good, "say less", strings.Repeat("word ", 13), 1),
		"whose":            strings.Replace(good, "both", "nobody", 1),
		"state":            strings.Replace(good, "yes", "maybe", 1),
		"no test":          strings.Replace(good, "TestStandards", "TestStandardsOfOthers", 1),
		"no subtest":       strings.Replace(good, "TestStandards", "TestStandards/of others", 1),
		"nothing shows it": strings.Replace(good, "`TestStandards`", "believe it", 1),
		"no reason":        strings.Replace(good, "yes", "partly", 1),
		"no linter":        strings.Replace(good, "`TestStandards`", "linter `nosuch`", 1),
		"no rule":          strings.Replace(good, "`TestStandards`", "linter `depguard`, rule `nosuch`", 1),
		"no file":          strings.Replace(good, "`TestStandards`", "[x](../nosuch.md)", 1),
		"no section":       strings.Replace(good, "`TestStandards`", "[x](../glossary.md#nosuch)", 1),
		"out of order":     good + "\n" + good,
		"no sentence":      good + "\n" + strings.Replace(good, "2.2.1", "2.2.2", 1),
	} {
		if wrong, _ := s.check(document(row), r); !strings.Contains(strings.Join(wrong, "\n"), want) {
			t.Errorf("%s: %s is reported as %q", row, want, wrong)
		}
	}
}

// check returns what is wrong with a document, and the sentence that must count its states.
func (s standard) check(document string, r repository) (wrong []string, counts string) {
	report := func(id, format string, values ...any) { wrong = append(wrong, id+": "+fmt.Sprintf(format, values...)) }
	chapter, last, inTable := "", "", false
	states, chapters := map[string]int{}, map[string]int{}
	for line := range strings.Lines(document) {
		line = strings.TrimSpace(line)
		heading := "| " + strings.Join(s.columns, " | ") + " |"
		switch {
		case strings.HasPrefix(line, "## "):
			chapter, _, _ = strings.Cut(strings.TrimPrefix(line, "## "), " ")
		case line == heading:
			inTable = true
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case inTable && !strings.HasPrefix(line, "|---"):
			cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |"), " | ")
			id := cells[0]
			if len(cells) != len(s.columns) {
				report(id, "%d cells", len(cells))
				continue
			}
			if !s.id.MatchString(id) {
				report(id, "no id")
				continue
			}
			if !strings.HasPrefix(id, chapter+".") {
				report(id, "other chapter: %s", chapter)
			}
			if last != "" && slices.Compare(numbers(last), numbers(id)) >= 0 {
				report(id, "out of order, after %s", last)
			}
			last = id
			chapters[chapter]++
			states[cells[len(cells)-2]]++
			for _, w := range s.judge(cells, r) {
				report(id, "%s", w)
			}
		}
	}
	for name, want := range s.chapters {
		if chapters[name] != want {
			report(name, "%d of %d requirements", chapters[name], want)
		}
	}
	all := 0
	for _, n := range states {
		all += n
	}
	counts = fmt.Sprintf("Of %d requirements, %d are met (`yes`), %d in part (`partly`), %d are not (`no`), and %d do not apply (`n/a`).",
		all, states["yes"], states["partly"], states["no"], states["n/a"])
	if !strings.Contains(document, counts) {
		report("counts", "no sentence %q", counts)
	}
	return wrong, counts
}

// judge returns what is wrong with the cells of a row.
func (s standard) judge(cells []string, r repository) (wrong []string) {
	if n := len(strings.Fields(cells[1])); n == 0 || n > maxAskWords {
		wrong = append(wrong, fmt.Sprintf("what it asks has %d words", n))
	}
	if slices.Contains(s.columns, "whose") && !slices.Contains(requirementOwners, cells[2]) {
		wrong = append(wrong, "whose is it: "+cells[2])
	}
	state, shown := cells[len(cells)-2], cells[len(cells)-1]
	if !slices.Contains(requirementStates, state) {
		wrong = append(wrong, "no such state: "+state)
	}
	evidence, missing := r.evidence(shown)
	wrong = append(wrong, missing...)
	reason := shown
	for _, named := range []*regexp.Regexp{namedTest, namedLinters, namedFile} {
		reason = named.ReplaceAllString(reason, "")
	}
	switch {
	case state == "yes" && evidence == 0:
		wrong = append(wrong, "nothing shows it")
	case state != "yes" && len(strings.Fields(reason)) < 2:
		wrong = append(wrong, "no reason")
	}
	return wrong
}

// evidence counts what a cell names as evidence, and returns what of it does not exist.
func (r repository) evidence(cell string) (n int, missing []string) {
	for _, m := range namedTest.FindAllStringSubmatch(cell, -1) {
		n++
		sources, ok := r.tests[m[1]]
		if !ok {
			missing = append(missing, "no test "+m[1])
		} else if m[2] != "" && !strings.Contains(sources, strconv.Quote(strings.ReplaceAll(m[2], "_", " "))) {
			missing = append(missing, "no subtest "+m[2]+" of "+m[1])
		}
	}
	for _, m := range namedLinters.FindAllStringSubmatch(cell, -1) {
		for linter := range strings.FieldsSeq(m[1]) {
			n++
			if linter = strings.Trim(linter, "`"); !regexp.MustCompile(`(?m)^    - ` + linter + `\s`).MatchString(r.linters) {
				missing = append(missing, "no linter "+linter)
			}
		}
		if m[2] != "" && !regexp.MustCompile(`(?m)^        `+m[2]+`:`).MatchString(r.linters) {
			missing = append(missing, "no rule "+m[2])
		}
	}
	for _, m := range namedFile.FindAllStringSubmatch(cell, -1) {
		if m[1] == "" {
			continue // a section of the same document
		}
		n++
		raw, err := os.ReadFile(filepath.Join(r.folder, filepath.FromSlash(m[1])))
		if err != nil {
			missing = append(missing, "no file "+m[1])
		} else if m[2] != "" && !slices.Contains(sections(string(raw)), m[2]) {
			missing = append(missing, "no section "+m[2]+" in "+m[1])
		}
	}
	return n, missing
}

// sections returns the anchors of a document's headings.
func sections(document string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(document, -1) {
		plain := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}

// numbers returns the numbers of an id.
func numbers(id string) (all []int) {
	for part := range strings.SplitSeq(strings.TrimPrefix(id, "V"), ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		all = append(all, n)
	}
	return all
}

// readRepository reads every test file and the settings of the linters.
func readRepository(t *testing.T) repository {
	t.Helper()
	root := filepath.Join("..", "..")
	r := repository{tests: map[string]string{}, folder: filepath.Join(root, "docs", "security")}
	linters, err := os.ReadFile(filepath.Join(root, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	r.linters = string(linters)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", ".cache", "bin", "data", "testdata", "node_modules"}, d.Name()) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		raw, err := os.ReadFile(path)
		for _, m := range testFunction.FindAllSubmatch(raw, -1) {
			r.tests[string(m[1])] += string(raw)
		}
		return err
	})
	if err != nil || len(r.tests) < 500 {
		t.Fatalf("%d tests, %v", len(r.tests), err)
	}
	return r
}
