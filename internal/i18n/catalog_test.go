package i18n

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/feature/plural"
)

// names returns the placeholders of a message, including the count.
func (m *message) names() []string {
	seen := map[string]bool{}
	for _, t := range m.forms {
		for i := 1; i < len(t); i += 2 {
			seen[t[i]] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// categories returns the plural categories of a language's rules for whole numbers.
func categories(p *Printer) []plural.Form {
	seen := map[plural.Form]bool{plural.Other: true}
	for n := range 1001 {
		seen[p.category(n)] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func TestEveryLanguageHasEveryMessage(t *testing.T) {
	english := For("en").messages
	if len(english) == 0 {
		t.Fatal("no message at all")
	}
	for _, l := range Languages() {
		p := For(l.Tag)
		if p.Tag() != l.Tag || p.Dir() != l.Dir {
			t.Fatalf("For(%q) is %s, %s", l.Tag, p.Tag(), p.Dir())
		}
		want := categories(p)
		for _, key := range slices.Sorted(maps.Keys(english)) {
			m := p.messages[key]
			if m == nil {
				t.Errorf("%s: %q is missing", l.Tag, key)
				continue
			}
			holdMessage(t, l.Tag, key, m, english[key], want)
		}
		for key := range p.messages {
			if english[key] == nil {
				t.Errorf("%s: %q is not in English", l.Tag, key)
			}
		}
	}
}

func holdMessage(t *testing.T, lang, key string, m, english *message, categories []plural.Form) {
	t.Helper()
	if m.plural != english.plural {
		t.Errorf("%s: %q has plurals in one of this language and English, and not in the other", lang, key)
		return
	}
	// The count may be missing in a category ("no payments"), but not in the whole message.
	if got, want := m.names(), english.names(); !slices.Equal(got, want) {
		t.Errorf("%s: %q has the placeholders %v, want %v", lang, key, got, want)
	}
	if m.plural {
		if got := slices.Sorted(maps.Keys(m.forms)); !slices.Equal(got, categories) {
			t.Errorf("%s: %q has the plural categories %v, want %v", lang, key, got, categories)
		}
	}
	for _, form := range m.forms {
		whole := strings.Join(form, "x")
		if strings.TrimSpace(whole) != whole || whole == "" {
			t.Errorf("%s: %q is empty, or begins or ends with a space", lang, key)
		}
		if strings.ContainsAny(whole, "<>") || strings.ContainsFunc(whole, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
			t.Errorf("%s: %q has markup or a control character in it", lang, key)
		}
	}
}

var keyShape = regexp.MustCompile(`^[a-z]+\.[a-zA-Z0-9_.-]+$`)

// use is a call of T or N with a literal key.
type use struct {
	at, key, method string
	names           []string
	spread          bool // the arguments are a slice, unknown here
}

// sources reads the module's own Go files, except tests: the calls of T and N, and every
// literal that has the form of a key. Templates are read as the Go that is generated from them.
func sources(t *testing.T) (uses []use, literals map[string]bool) {
	t.Helper()
	literals = map[string]bool{}
	for _, root := range []string{"..", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			tree, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BasicLit:
					if s, ok := literal(n); ok && keyShape.MatchString(s) {
						literals[s] = true
					}
				case *ast.CallExpr:
					if u, ok := callOf(n); ok {
						u.at = files.Position(n.Pos()).String()
						uses = append(uses, u)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return uses, literals
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

func callOf(c *ast.CallExpr) (use, bool) {
	name := ""
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		name = f.Sel.Name
	case *ast.Ident:
		name = f.Name
	}
	args := c.Args
	// The dashboard's say and sayN are T and N with a context as first argument.
	if (name == "say" || name == "sayN") && len(args) > 1 {
		name, args = map[string]string{"say": "T", "sayN": "N"}[name], args[1:]
	}
	if (name != "T" && name != "N") || len(args) == 0 {
		return use{}, false
	}
	key, ok := literal(args[0])
	if !ok || !keyShape.MatchString(key) {
		return use{}, false
	}
	u := use{key: key, method: name, spread: c.Ellipsis.IsValid()}
	rest := args[1:]
	if name == "N" && len(rest) > 0 {
		rest = rest[1:]
		u.names = append(u.names, "N")
	}
	for i := 0; i < len(rest); i += 2 {
		s, ok := literal(rest[i])
		if !ok {
			u.spread = true
		}
		u.names = append(u.names, s)
	}
	slices.Sort(u.names)
	return u, true
}

func TestEveryKeyIsThereAndUsed(t *testing.T) {
	english := For("en").messages
	uses, literals := sources(t)
	for _, u := range uses {
		m := english[u.key]
		switch {
		case m == nil:
			t.Errorf("%s: no catalogue has %q", u.at, u.key)
		case m.plural != (u.method == "N"):
			t.Errorf("%s: %q is asked for by %s: T is for a text, N for plurals", u.at, u.key, u.method)
		case u.spread:
		case !slices.Equal(u.names, m.names()) && (u.method != "N" || !slices.Equal(without(u.names, "N"), m.names())):
			t.Errorf("%s: %q is given %v, its placeholders are %v", u.at, u.key, u.names, m.names())
		}
	}
	if len(uses) == 0 {
		t.Error("no call of T or N was found: are the sources where they were?")
	}
	for key := range english {
		if !literals[key] {
			t.Errorf("%q is in the catalogues and in no source", key)
		}
	}
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == name })
}
