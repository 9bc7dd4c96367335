package api_test

import (
	"testing"

	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/gateway/api/apitest"
)

// elsewhere are the documented calls that other packages answer.
var elsewhere = map[string]bool{
	"GET /l/{token}": true, "POST /l/{token}/payments": true, "GET /l/{token}/status": true, "POST /l/{token}/status": true,
	"GET /l/{token}/challenge": true, "GET /verify": true,
	"GET /f/{form}": true, "POST /f/{form}": true, "GET /embed.js": true,
	"GET /problems": true, "GET /problems/{code}": true, "GET /healthz": true, "GET /readyz": true,
}

func TestRouterAndDocumentAgree(t *testing.T) {
	documented := map[string]map[string]bool{}
	for _, op := range apitest.Model(t).Operations {
		query := map[string]bool{}
		for _, p := range op.Parameters {
			if p.In == "query" && p.Name != "mode" {
				query[p.Name] = true
			}
		}
		documented[op.Method+" "+op.Path] = query
	}
	routed := map[string]bool{}
	for _, rt := range api.Routes() {
		name := rt.Method + " " + rt.Path
		routed[name] = true
		query, known := documented[name]
		if !known {
			t.Errorf("%s is routed and not documented", name)
			continue
		}
		if len(query) != len(rt.Query) {
			t.Errorf("%s: the document knows %v, the router %v", name, query, rt.Query)
		}
		for _, q := range rt.Query {
			if !query[q] {
				t.Errorf("%s: the query parameter %s is not documented", name, q)
			}
		}
	}
	for name := range documented {
		if !routed[name] && !elsewhere[name] {
			t.Errorf("%s is documented and not routed", name)
		}
	}
}
