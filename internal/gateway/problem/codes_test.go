package problem_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	apispec "github.com/paylink/paylink/docs/api"
	"github.com/paylink/paylink/internal/gateway/problem"
)

// sources is where the code base is, seen from this package.
const sources = "../../.."

// kindStatus is the HTTP status of a kind, by the name that sources spell.
var kindStatus = map[string]int{
	"KindInternal": 500, "KindInvalid": 400, "KindUnauthenticated": 401, "KindDeclined": 402, "KindForbidden": 403, "KindNotFound": 404,
	"KindConflict": 409, "KindTooLarge": 413, "KindUnsupported": 415, "KindMismatch": 422, "KindRateLimited": 429, "KindUnavailable": 503,
}

// computed are the places whose code is no literal, and what it can be. A place
// that is not here fails the test, until somebody says what it emits.
var computed = map[string][]string{
	"internal/payment conflict(code)":                    nil, // its callers are looked at
	"internal/link Unpayable(code)":                      {"link_paid", "link_canceled", "link_expired", "link_paying"},
	"internal/coordinator refusal(code)":                 issuerCodes,
	"internal/gateway/pages submitJSON(code)":            issuerCodes,
	"internal/gateway/problem From(f.Code)":              nil, // passes on what others made
	"internal/rpc fromWire(w.Code)":                      nil, // passes on what another process made
	"internal/issuer/simulator damaged(CodeBookDamaged)": nil, // internal: shown as "internal"
	"internal/store/sqldb Damaged(object+_damaged)":      nil,
	"internal/store/dynamo damaged(object+_damaged)":     nil,
}

// issuerCodes stands for the decline codes of package issuer, read from its source.
var issuerCodes = []string{"issuer.Code*"}

// emitted collects the codes that the sources put into faults, with the statuses.
type emitted struct {
	t     *testing.T
	codes map[string]map[int]string // code to status to the first place
	seen  map[string]bool           // of computed
}

func (e *emitted) add(code string, status int, at string) {
	if e.codes[code] == nil {
		e.codes[code] = map[int]string{}
	}
	if e.codes[code][status] == "" {
		e.codes[code][status] = at
	}
}

// scanSources reads every Go file that is not a test.
func scanSources(t *testing.T) *emitted {
	t.Helper()
	e := &emitted{t: t, codes: map[string]map[int]string{}, seen: map[string]bool{}}
	var files []string
	for _, pattern := range []string{"internal/*/*.go", "internal/*/*/*.go", "internal/*/*/*/*.go", "cmd/*/*.go"} {
		found, err := filepath.Glob(filepath.Join(sources, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 100 {
		t.Fatalf("only %d files under %s", len(files), sources)
	}
	set := token.NewFileSet()
	var declines []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(name), sources+string(filepath.Separator)))
		if dir == "internal/issuer" {
			declines = append(declines, constants(tree, "Code")...)
		}
		for _, d := range tree.Decls {
			e.declaration(set, dir, d)
		}
	}
	if len(declines) < 8 {
		t.Fatalf("the decline codes of package issuer: %v", declines)
	}
	if at := e.codes[issuerCodes[0]]; at != nil {
		delete(e.codes, issuerCodes[0])
		for status, where := range at {
			for _, code := range declines {
				e.add(code, status, where)
			}
		}
	}
	for place := range computed {
		if !e.seen[place] {
			t.Errorf("computed names %s, which is not there any more", place)
		}
	}
	return e
}

// constants are the values of the file's string constants with the prefix.
func constants(tree *ast.File, prefix string) []string {
	var values []string
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if strings.HasPrefix(name.Name, prefix) && i < len(spec.Values) {
				if s, ok := literal(spec.Values[i]); ok {
					values = append(values, s)
				}
			}
		}
		return true
	})
	return values
}

func literal(x ast.Expr) (string, bool) {
	lit, ok := x.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// spelled is an expression as a place in computed writes it.
func spelled(x ast.Expr) string {
	switch v := x.(type) {
	case *ast.Ident:
		return v.Name
	case *ast.SelectorExpr:
		return spelled(v.X) + "." + v.Sel.Name
	case *ast.BinaryExpr:
		return spelled(v.X) + v.Op.String() + spelled(v.Y)
	}
	s, _ := literal(x)
	return s
}

func (e *emitted) declaration(set *token.FileSet, dir string, d ast.Decl) {
	function := "var"
	if f, ok := d.(*ast.FuncDecl); ok {
		function = f.Name.Name
		if dir == "internal/fault" {
			e.constructor(set, f)
			return
		}
	}
	ast.Inspect(d, func(n ast.Node) bool {
		switch v := n.(type) {
		case *ast.CallExpr:
			if code, status, ok := call(dir, v); ok {
				e.found(code, status, dir, function, set.Position(v.Pos()).String())
			}
		case *ast.CompositeLit:
			if code, status, ok := composite(v); ok {
				e.found(code, status, dir, function, set.Position(v.Pos()).String())
			}
		}
		return true
	})
}

// constructor looks at package fault itself: NotFound and From have codes of
// their own, the other constructors take them.
func (e *emitted) constructor(set *token.FileSet, f *ast.FuncDecl) {
	for name, status := range map[string]int{"NotFound": 404, "From": 500} {
		if f.Name.Name != name {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
				if text, ok := literal(s); ok && codeShape.MatchString(text) {
					e.add(text, status, set.Position(s.Pos()).String())
				}
			}
			return true
		})
	}
}

var codeShape = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)

// call recognizes the constructors, and the wrapper of package payment.
func call(dir string, c *ast.CallExpr) (code ast.Expr, status int, ok bool) {
	name := spelled(c.Fun)
	at, status := -1, 0
	switch {
	case name == "fault.Invalid":
		at, status = 1, 400
	case name == "fault.Unavailable":
		at, status = 0, 503
	case name == "fault.New":
		_, kind, _ := strings.Cut(spelled(c.Args[0]), "fault.")
		at, status = 1, kindStatus[kind]
	case name == "conflict" && dir == "internal/payment":
		at, status = 0, 409
	}
	if at < 0 || at >= len(c.Args) {
		return nil, 0, false
	}
	return c.Args[at], status, true
}

// composite recognizes fault.Error{…} and problem.Problem{…} that name a code.
func composite(c *ast.CompositeLit) (code ast.Expr, status int, ok bool) {
	name := spelled(c.Type)
	if name != "fault.Error" && name != "problem.Problem" && name != "Problem" {
		return nil, 0, false
	}
	for _, el := range c.Elts {
		kv, isPair := el.(*ast.KeyValueExpr)
		if !isPair {
			continue
		}
		switch spelled(kv.Key) {
		case "Code":
			code = kv.Value
		case "Kind":
			_, kind, _ := strings.Cut(spelled(kv.Value), "fault.")
			status = kindStatus[kind]
		case "Status":
			status = map[string]int{"http.StatusMethodNotAllowed": http.StatusMethodNotAllowed,
				"http.StatusMisdirectedRequest":          http.StatusMisdirectedRequest,
				"http.StatusRequestHeaderFieldsTooLarge": http.StatusRequestHeaderFieldsTooLarge}[spelled(kv.Value)]
		}
	}
	return code, status, code != nil
}

func (e *emitted) found(code ast.Expr, status int, dir, function, at string) {
	if s, ok := literal(code); ok {
		switch {
		case status == 0:
			e.t.Errorf("%s: the status of code %q is not plain to see", at, s)
		case status == http.StatusInternalServerError: // shown as "internal", whatever the code
			e.add("internal", status, at)
		default:
			e.add(s, status, at)
		}
		return
	}
	place := fmt.Sprintf("%s %s(%s)", dir, function, spelled(code))
	codes, known := computed[place]
	if !known {
		e.t.Errorf("%s: the code is computed; say in computed what %q can emit", at, place)
	}
	e.seen[place] = true
	for _, c := range codes {
		e.add(c, status, at)
	}
}

// TestEveryCodeIsExplained holds the table of codes against the sources: what is
// emitted, with which statuses, is what the table explains.
func TestEveryCodeIsExplained(t *testing.T) {
	told := scanSources(t)
	if len(told.codes) < 80 {
		t.Errorf("only %d codes were found in the sources", len(told.codes))
	}
	for _, code := range slices.Sorted(maps.Keys(told.codes)) {
		c, ok := problem.CodeByName(code)
		if !ok {
			t.Errorf("%q (%v) is emitted and not explained", code, told.codes[code])
			continue
		}
		for status, at := range told.codes[code] {
			if !slices.Contains(c.Statuses, status) {
				t.Errorf("%q comes with %d (%s), the table says %v", code, status, at, c.Statuses)
			}
		}
	}
	documented := documentedCodes(t)
	for _, c := range problem.Codes() {
		if told.codes[c.Name] == nil && documented[c.Name] == nil {
			t.Errorf("%q is explained, and neither emitted nor documented", c.Name)
		}
		for _, status := range c.Statuses {
			if told.codes[c.Name] != nil && told.codes[c.Name][status] == "" {
				t.Errorf("%q never comes with %d", c.Name, status)
			}
		}
	}
}

// documentedCodes are the codes that the API document names, with their statuses:
// in the table of the schema Problem, and in its examples.
func documentedCodes(t *testing.T) map[string][]int {
	t.Helper()
	codes := map[string][]int{}
	text := string(apispec.YAML)
	for _, line := range regexp.MustCompile(`(?m)^ +\| (\d{3}) \| (.*) \|$`).FindAllStringSubmatch(text, -1) {
		status, err := strconv.Atoi(line[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(line[2], -1) {
			if c[1] != "param" {
				codes[c[1]] = append(codes[c[1]], status)
			}
		}
	}
	for _, m := range regexp.MustCompile(`type: /problems/([a-z0-9_]+),.* status: (\d{3}),.* code: ([a-z0-9_]+)[,}]`).FindAllStringSubmatch(text, -1) {
		status, err := strconv.Atoi(m[2])
		if err != nil || m[1] != m[3] {
			t.Fatalf("the example %s", m[0])
		}
		codes[m[3]] = append(codes[m[3]], status)
	}
	if len(codes) < 30 {
		t.Fatalf("only %d codes are documented", len(codes))
	}
	return codes
}

// TestDocumentNamesKnownCodes: what the document promises is what comes.
func TestDocumentNamesKnownCodes(t *testing.T) {
	for code, statuses := range documentedCodes(t) {
		c, ok := problem.CodeByName(code)
		if !ok {
			t.Errorf("the document names %q, the table does not", code)
			continue
		}
		for _, status := range statuses {
			if !slices.Contains(c.Statuses, status) {
				t.Errorf("the document gives %q with %d, the table with %v", code, status, c.Statuses)
			}
		}
	}
}

// TestCodesAreSentences: the table is whole, sorted and written for a person.
func TestCodesAreSentences(t *testing.T) {
	all := problem.Codes()
	if !slices.IsSortedFunc(all, func(a, b problem.Code) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the table is not sorted by name")
	}
	for i, c := range all {
		if i > 0 && all[i-1].Name == c.Name {
			t.Errorf("%q is there twice", c.Name)
		}
		if !codeShape.MatchString(c.Name) || len(c.Statuses) == 0 || !slices.IsSorted(c.Statuses) {
			t.Errorf("%+v", c)
		}
		for _, s := range []string{c.Meaning, c.Do} {
			if len(s) < 10 || !strings.HasSuffix(s, ".") || s[0] < 'A' || s[0] > 'Z' {
				t.Errorf("%q: not a sentence: %q", c.Name, s)
			}
		}
	}
	if _, ok := problem.CodeByName("nonsense"); ok {
		t.Error("an unknown code is explained")
	}
}
