package main_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const modulePath = "github.com/paylink/paylink"

// layerRows is the ordered list of the design: a package imports only from rows above its own. A
// package that is not listed fails the test.
var layerRows = [][]string{
	{
		"internal/money",
		"internal/id",
		"internal/fault",
		"internal/keyring",
		"internal/obs",
		"internal/idempotency",
		"internal/progress",
		"internal/testclock",
		"internal/spelling",
		"internal/postgres",
		"internal/housekeeping",
		"docs/api",
	},
	{"internal/site", "internal/keyring/kek", "internal/activity"},
	{"internal/calendar", "internal/issuer", "internal/ledger", "internal/i18n", "internal/fraud/score", "internal/fraud/shield"},
	{"internal/stream", "internal/mail", "internal/fraud/rule"},
	{"internal/merchant", "internal/link"},
	{"internal/payment", "internal/notify"},
	{"internal/receipt", "internal/fraud/history", "internal/fraud/rulebook"},
	{"internal/fraud/learning"},
	{"internal/fraud"},
	{"internal/coordinator", "internal/archive", "internal/report"},
	{"internal/gateway/problem", "internal/gateway/asset", "internal/gateway/connection", "internal/store/sqldb"},
	{"internal/gateway/answer", "internal/store/feed"},
	{
		"internal/store/sqlstore", "internal/store/projection", "internal/store/dynamo",
		"internal/issuer/simulator",
		"internal/notify/webhook",
		"internal/fraud/lake",
		"internal/rpc",
		"internal/gateway/api", "internal/gateway/pages", "internal/gateway/apidocs", "internal/gateway/limit",
		"client",
	},
	{"internal/mail/smtp", "internal/mail/office", "internal/gateway/dashboard/parts"},
	{"internal/gateway/dashboard/frame"},
	{"internal/gateway/dashboard/slip", "internal/gateway/dashboard/risk"},
	{
		"internal/gateway/dashboard/overview", "internal/gateway/dashboard/payments", "internal/gateway/dashboard/review",
		"internal/gateway/dashboard/links", "internal/gateway/dashboard/forms",
		"internal/gateway/dashboard/protection", "internal/gateway/dashboard/rules", "internal/gateway/dashboard/webhooks",
		"internal/gateway/dashboard/keys", "internal/gateway/dashboard/account", "internal/gateway/dashboard/signin",
	},
	{"internal/gateway/dashboard"},
	{"internal/gateway"},
	{"internal/app"},
	{"cmd/paylink"},
}

// testOnlyPackages may import any package, and no package may import them.
var testOnlyPackages = []string{
	"internal/await",
	"internal/store/storetest",
	"internal/store/sqltest",
	"internal/store/pgtest",
	"internal/store/dynamotest",
	"internal/mail/mailtest",
	"internal/issuer/issuertest",
	"internal/sim",
	"internal/gateway/api/apitest",
	"internal/gateway/dashboard/desktest",
	"cmd/paylink/bench",
	"e2e/harness",
	"e2e/story",
	"e2e/crash",
	"e2e/split",
	"e2e/pages",
	"e2e/cli",
	"tools/licenses",
	"tools/mutate",
}

// firstHTTPRow is the first package of the first row that may know net/http.
const firstHTTPRow = "internal/gateway/problem"

// sqlPackages may import database/sql and its drivers.
var sqlPackages = map[string]bool{"internal/postgres": true, "internal/store/sqldb": true, "internal/store/feed": true,
	"internal/store/sqlstore": true, "internal/store/projection": true, "internal/notify/webhook": true}

// sqlImports are the import paths for SQL.
var sqlImports = []string{
	"database/sql",
	"modernc.org/sqlite",
	"github.com/pressly/goose",
	"github.com/riverqueue/river/riverdriver",
	"github.com/jackc/pgx",
}

// awsImports are the import paths for AWS. awsPackages may use them: the store in DynamoDB,
// the lake, whose files may be in S3-compatible storage, and the key-encryption keys in KMS.
var awsImports = []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}

var awsPackages = map[string]bool{"internal/store/dynamo": true, "internal/fraud/lake": true, "internal/keyring/kek": true}

// guardedCalls maps the functions that read the environment or end the process to the packages
// that may call them.
var guardedCalls = map[string]map[string]bool{
	"os.Getenv":    {"internal/app": true, "cmd/paylink": true},
	"os.LookupEnv": {"internal/app": true, "cmd/paylink": true},
	"os.Environ":   {"internal/app": true, "cmd/paylink": true},
	"os.ExpandEnv": {"internal/app": true, "cmd/paylink": true},
	"os.Exit":      {"cmd/paylink": true},
	"log.Fatal":    {},
	"log.Fatalf":   {},
	"log.Fatalln":  {},
}

type listed struct {
	Dir, ImportPath string
	GoFiles         []string
	Imports         []string
}

func (p listed) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, modulePath), "/")
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=Dir,ImportPath,GoFiles,Imports", modulePath+"/...")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestLayers(t *testing.T) {
	row := map[string]int{}
	for i, names := range layerRows {
		for _, n := range names {
			row[n] = i + 1
		}
	}
	apart := map[string]bool{}
	for _, n := range testOnlyPackages {
		apart[n] = true
	}
	seen := 0
	for _, p := range listPackages(t) {
		name := p.name()
		switch {
		case apart[name]:
			continue
		case row[name] == 0:
			t.Errorf("%s is in no row: place it in the list of layers_test.go", name)
			continue
		}
		seen++
		for _, path := range p.Imports {
			if path == modulePath || strings.HasPrefix(path, modulePath+"/") {
				checkOurs(t, row, apart, name, strings.TrimPrefix(path, modulePath+"/"))
				continue
			}
			checkTheirs(t, row, name, path)
		}
		checkWorld(t, p)
	}
	if seen < len(layerRows) {
		t.Errorf("only %d packages were checked: is the list of packages complete?", seen)
	}
}

func checkOurs(t *testing.T, row map[string]int, apart map[string]bool, name, path string) {
	t.Helper()
	switch {
	case apart[path]:
		t.Errorf("%s imports %s, which is for tests only", name, path)
	case row[path] >= row[name]:
		t.Errorf("%s (row %d) imports %s (row %d): only rows above are allowed", name, row[name], path, row[path])
	}
}

func checkTheirs(t *testing.T, row map[string]int, name, path string) {
	t.Helper()
	if within(path, "net/http") && row[name] < row[firstHTTPRow] {
		t.Errorf("%s (row %d) imports %s: HTTP begins with %s", name, row[name], path, firstHTTPRow)
	}
	for _, tree := range sqlImports {
		if within(path, tree) && !sqlPackages[name] {
			t.Errorf("%s imports %s: only the stores know SQL", name, path)
		}
	}
	for _, tree := range awsImports {
		if within(path, tree) && !awsPackages[name] {
			t.Errorf("%s imports %s: only DynamoDB's store, the lake and the keys' KMS know AWS", name, path)
		}
	}
}

func within(path, tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") }

// checkWorld checks the syntax for calls that only some packages may make.
func checkWorld(t *testing.T, p listed) {
	t.Helper()
	files := token.NewFileSet()
	for _, f := range p.GoFiles {
		tree, err := parser.ParseFile(files, filepath.Join(p.Dir, f), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		as := map[string]string{} // a package's name in the file to its path
		for _, i := range tree.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			as[path] = path
			if i.Name != nil {
				as[i.Name.Name] = path
				if i.Name.Name == "." && (path == "os" || path == "log") {
					t.Errorf("%s imports %s with a dot, which hides what it calls", files.Position(i.Pos()), path)
				}
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if s.Sel.Name == "Reveal" && !mayReveal(p.name(), f) {
				t.Errorf("%s: only a connector, and the one file that seals a card for its way, may see its number", files.Position(s.Pos()))
			}
			if x, ok := s.X.(*ast.Ident); ok {
				call := as[x.Name] + "." + s.Sel.Name
				if may, guarded := guardedCalls[call]; guarded && !may[p.name()] {
					t.Errorf("%s: %s may not use %s", files.Position(s.Pos()), p.name(), call)
				}
			}
			return true
		})
	}
}

// mayReveal reports whether a file may read a card's number.
func mayReveal(pkg, file string) bool {
	return (strings.HasPrefix(pkg, "internal/issuer/") && pkg != "internal/issuer/issuertest") || (pkg == "internal/rpc" && file == "card.go")
}
