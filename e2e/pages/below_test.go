package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	sdk "github.com/paylink/paylink/client"
	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// maxWalked limits a walk: the dashboard's filters generate ever new queries.
const maxWalked = 700

// nginxBefore starts nginx with the configuration of docs/operate/proxy.md: on takes,
// it takes /pay away; on keeps, it does not. Everything else on those hosts is 404.
func nginxBefore(t *testing.T, server, takes, keeps string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(harness.ModuleRoot(t), "docs", "operate", "proxy.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(raw), "\n```nginx\n")
	block, _, ok := strings.Cut(block, "\n```")
	if !ok || !strings.Contains(block, "http://127.0.0.1:8080/;") {
		t.Fatalf("docs/operate/proxy.md has no configuration of nginx: %s", block)
	}
	taking := strings.Replace(block, "http://127.0.0.1:8080/;", "http://"+server+"/;", 1)
	keeping := strings.Replace(block, "http://127.0.0.1:8080/;", "http://"+server+";", 1)
	dir := t.TempDir()
	conf := "daemon off;\nworker_processes 1;\npid " + dir + "/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		conf += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	for address, location := range map[string]string{takes: taking, keeps: keeping} {
		conf += "server {\nlisten " + address + ";\nlocation / { return 404; }\n" + location + "\n}\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	binary, err := exec.LookPath("nginx")
	if err != nil {
		binary = "/usr/sbin/nginx" // which is not on everybody's PATH
	}
	logs := &harness.Buffer{}
	cmd := exec.Command(binary, "-e", "stderr", "-p", dir, "-c", filepath.Join(dir, "nginx.conf")) // it is stopped below
	cmd.Stderr = logs
	if err := cmd.Start(); err != nil {
		t.Fatalf("nginx, which scripts/needs.sh installs: %v", err)
	}
	t.Cleanup(func() {
		err := cmd.Process.Signal(syscall.SIGTERM)
		if err := errors.Join(err, cmd.Wait()); err != nil {
			t.Errorf("nginx: %v\n%s", err, logs)
		}
	})
}

// walker follows every address of an installation below /pay, as a browser would.
type walker struct {
	t      *testing.T
	origin string // of the public URL
	client *http.Client
	bearer string
	seen   map[string]bool
	often  map[string]int // by path
	todo   []found
	asked  int
}

// found is an address, and where it was.
type found struct{ address, in string }

func newWalker(t *testing.T, origin, dial string) *walker {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	// Every connection goes to dial: the public host, wherever its proxy listens.
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, dial)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &walker{t: t, origin: origin, seen: map[string]bool{}, often: map[string]int{},
		client: &http.Client{
			Jar:           jar,
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
}

// find notes an address that was in an answer, unless it leads to another host.
func (w *walker) find(address, in string) {
	address = html.UnescapeString(address)
	path, ours := strings.CutPrefix(address, w.origin)
	if !ours && (!strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//")) {
		return
	}
	path, _, _ = strings.Cut(path, "#")
	if path != "/pay" && !strings.HasPrefix(path, "/pay/") && !strings.HasPrefix(path, "/pay?") {
		w.t.Errorf("%s leads out of /pay: %s", in, address)
		return
	}
	bare, _, _ := strings.Cut(path, "?")
	if w.seen[path] || w.often[bare] > 1 {
		return
	}
	if sends.MatchString(in) || strings.Contains(path, "lang=") && w.often[bare] > 0 {
		return // asked for by POST alone; the same page again
	}
	w.seen[path] = true
	w.often[bare]++
	w.todo = append(w.todo, found{path, in})
}

// quotedAddress is an attribute of HTML, or a url() of a style sheet, that may be an
// address. Scripts of ours take addresses from attributes alone.
var (
	attribute = regexp.MustCompile(`\s([a-z-]+)="((?:/|https?://)[^"]*)"`)
	sends     = regexp.MustCompile(`\((action|formaction|data-hx-post)\)$`)
	inStyle   = regexp.MustCompile(`url\(["']?([^"')]+)`)
)

// read notes every address of an answer.
func (w *walker) read(in string, resp *http.Response, body []byte) {
	for _, header := range []string{"Location", "Hx-Location", "Content-Location"} {
		if to := resp.Header.Get(header); to != "" {
			w.find(to, in+" ("+header+")")
		}
	}
	for _, c := range resp.Cookies() {
		if c.Path != "/pay/" {
			w.t.Errorf("%s: the cookie %s goes to %s", in, c.Name, c.Path)
		}
	}
	for rest := string(body); ; {
		_, after, more := strings.Cut(rest, w.origin)
		if !more {
			break
		}
		if !strings.HasPrefix(after, "/pay") && !strings.HasPrefix(after, `"`) && !strings.HasPrefix(after, ";") {
			w.t.Errorf("%s names the host without /pay: %.60s", in, after)
		}
		rest = after
	}
	switch kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); {
	case strings.HasSuffix(kind, "json"):
		var document any
		if err := json.Unmarshal(body, &document); err != nil {
			w.t.Errorf("%s: %v", in, err)
		}
		w.members(in, document)
	case kind == "text/html":
		for _, m := range attribute.FindAllStringSubmatch(string(body), -1) {
			w.find(m[2], in+" ("+m[1]+")")
		}
	case kind == "text/css":
		for _, m := range inStyle.FindAllStringSubmatch(string(body), -1) {
			w.find(m[1], in)
		}
	}
}

// members notes every string of a JSON document that may be an address.
func (w *walker) members(in string, document any) {
	switch v := document.(type) {
	case map[string]any:
		for name, member := range v {
			w.members(in+" ."+name, member)
		}
	case []any:
		for _, member := range v {
			w.members(in, member)
		}
	case string:
		w.find(v, in)
	}
}

// ask sends a request and reads its answer.
func (w *walker) ask(method, path, body string, headers ...string) (*http.Response, []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.origin+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if w.bearer != "" && strings.HasPrefix(path, "/pay/api/") {
		req.Header.Set("Authorization", "Bearer "+w.bearer)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if strings.Contains(resp.Header.Get("Content-Type"), "event-stream") {
		return resp, nil
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	w.read(method+" "+path, resp, raw)
	return resp, raw
}

// walk asks for every address that was found, and for those that are found by that.
func (w *walker) walk() {
	w.t.Helper()
	for len(w.todo) > 0 && w.asked < maxWalked {
		next := w.todo[0]
		w.todo = w.todo[1:]
		w.asked++
		resp, _ := w.ask(http.MethodGet, next.address, "", "Accept", "text/html,application/json;q=0.9,*/*;q=0.8")
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode >= http.StatusInternalServerError {
			w.t.Errorf("%s → %s answers %d", next.in, next.address, resp.StatusCode)
		}
	}
}

// TestBelowAPath checks that, behind a real proxy that puts everything below /pay, every address
// in any answer leads back to us, whether the proxy removes /pay or not.
func TestBelowAPath(t *testing.T) {
	server, takes, keeps := harness.FreeAddress(t), harness.FreeAddress(t), harness.FreeAddress(t)
	origin := "http://" + takes
	p := harness.StartOn(t, filepath.Join(t.TempDir(), "data"), server, "--public-url", origin+"/pay/", "--trusted-proxies", "127.0.0.0/8",
		"--limit", "address=off", "--limit", "key=off", "--limit", "account=off")
	nginxBefore(t, server, takes, keeps)
	await.Until(t, "nginx answers", func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", takes)
		return err == nil && c.Close() == nil
	})

	user, key := p.Merchant(t, harness.Payee)
	for name, dial := range map[string]string{"the proxy takes the path away": takes, "the proxy keeps the path": keeps} {
		t.Run(name, func(t *testing.T) {
			w := newWalker(t, origin, dial)
			w.bearer = key.Bearer
			w.payer(w.through(key))
			w.machines(w.through(user), w.through(key))
			w.merchant()
			w.walk()
			t.Logf("%d addresses", w.asked)
			if w.asked < 150 {
				t.Errorf("only %d addresses were found", w.asked)
			}
		})
	}
}

// through is the client with its calls going through the proxy that takes the path
// away. The document knows nothing of the path.
func (w *walker) through(c *harness.Client) *harness.Client {
	return c.Below(w.t, w.origin, "/pay")
}

// payer opens, pays and confirms as a browser without scripts.
func (w *walker) payer(key *harness.Client) {
	w.t.Helper()
	l := key.Link(`"amount":"12.50","maxUses":null,"redirectUrl":"https://shop.example/thanks"`)
	w.find(harness.Str(w.t, l, "url"), "a link")
	for _, number := range []string{"4242424242424242", "4000000000000002", "4000000000003220"} {
		_, page := w.ask(http.MethodGet, "/pay"+harness.TokenPath(w.t, l), "")
		attempt := regexp.MustCompile(`name="attempt" value="([^"]+)"`).FindSubmatch(page)
		if attempt == nil {
			w.t.Fatalf("no form: %s", page)
		}
		form := url.Values{"attempt": {string(attempt[1])}, "number": {number}, "exp": {"12/34"}, "cvc": {"123"}}
		resp, _ := w.ask(
			http.MethodPost,
			"/pay"+harness.TokenPath(w.t, l)+"/payments",
			form.Encode(),
			"Content-Type",
			"application/x-www-form-urlencoded",
			"Accept",
			"text/html",
		)
		if resp.StatusCode != http.StatusSeeOther {
			w.t.Errorf("paying with %s answers %d", number, resp.StatusCode)
		}
	}
	resp, raw := w.ask(
		http.MethodPost,
		"/pay"+harness.TokenPath(w.t, l)+"/payments",
		`{"attempt":"a-challenged-attempt","card":{"number":"4000000000003220","expMonth":12,"expYear":2034,"cvc":"123"}}`,
		"Content-Type",
		"application/json",
	)
	var asked struct{ ActionURL string }
	if err := json.Unmarshal(raw, &asked); err != nil || resp.StatusCode >= http.StatusBadRequest {
		w.t.Fatalf("%d %s: %v", resp.StatusCode, raw, err)
	}
	bank := strings.TrimPrefix(asked.ActionURL, w.origin)
	_, page := w.ask(http.MethodGet, bank, "")
	if sheet, err := url.Parse(bank); err != nil || !strings.Contains(string(page), `href="../3ds.css"`) {
		w.t.Errorf("the bank's page %s has no style sheet: %v\n%s", bank, err, page)
	} else {
		w.find(sheet.ResolveReference(&url.URL{Path: "../3ds.css"}).Path, "the bank's page")
	}
	w.ask(http.MethodPost, bank, "action=approve", "Content-Type", "application/x-www-form-urlencoded")
}

// machines asks the API for one of everything, good and bad, and for its document.
func (w *walker) machines(user, key *harness.Client) {
	w.t.Helper()
	l := key.Link(`"amount":"3"`)
	if a := key.PayJSON(l, fmt.Sprintf("a-payment-of-%p", w), "4242424242424242"); a.Status != http.StatusOK {
		w.t.Fatalf("%d %s", a.Status, a.Body)
	}
	receiver := harness.NewReceiver(w.t)
	endpoint := key.OK("POST", "/api/webhook-endpoints", `{"url":"`+receiver.URL+`","events":["*"]}`)
	form := key.OK("POST", "/api/forms", `{"name":"Donation","currency":"EUR","amounts":["5","10"]}`)
	for _, o := range []map[string]any{l, endpoint, form} {
		w.members("an object", o)
	}
	w.ask(http.MethodGet, "/pay/f/"+harness.Str(w.t, form, "id"), "")
	payment := harness.Str(w.t, harness.List(w.t, key.OK("GET", "/api/payments", ""), "data")[0], "id")
	w.ask(
		http.MethodPost,
		"/pay/api/payments/"+payment+"/refunds",
		`{"amount":"1"}`,
		"Content-Type",
		"application/json",
		"Idempotency-Key",
		payment,
	)
	w.ask(http.MethodPost, "/pay/api/payment", `{"amount":"x"}`, "Content-Type", "application/json")
	for _, path := range []string{"/links", "/payments", "/events", "/balance", "/forms", "/webhook-endpoints", "/issuers", "/fraud/rules",
		"/reviews", "/disputes",
		"/nowhere", "/test-clock", "/events?afterSeq=x", "/webhook-endpoints/" + harness.Str(w.t, endpoint, "id") + "/deliveries"} {
		w.ask(http.MethodGet, "/pay/api"+path, "")
	}
	for _, path := range []string{"", "/", "/docs", "/verify", "/problems", "/openapi.yaml", "/.well-known/jwks.json", "/embed.js",
		"/readyz", "//verify", "/docs/../verify", "/api/payment", "/verify?link=x"} {
		if path != "" {
			w.ask(http.MethodGet, "/pay"+path, "", "Accept", "text/html")
		}
		w.ask(http.MethodGet, "/pay"+path, "", "Accept", "application/json")
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.origin+"/pay/l?a=b", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.Header.Get("Location") != "/pay/l/?a=b" { // where nothing is
		w.t.Errorf("/pay/l leads to %q, %v", resp.Header.Get("Location"), err)
	}
	me := *w
	me.bearer = user.Bearer
	me.ask(http.MethodGet, "/pay/api/users/me", "")
	me.ask(http.MethodGet, "/pay/api/api-keys", "")
	w.todo = me.todo
	_, document := w.ask(http.MethodGet, "/pay/openapi.yaml", "")
	if !strings.Contains(string(document), "\n  - url: "+w.origin+"/pay\n") {
		w.t.Errorf("the served document names another server")
	}
	hears := func() bool { return len(receiver.Types()) > 0 }
	receiver.Trust(harness.Str(w.t, endpoint, "secret"))
	key.Link(`"amount":"4"`)
	await.Until(w.t, "a webhook arrives", hears)
	got, _ := receiver.Events()
	for _, e := range got {
		var data any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			w.t.Error(err)
		}
		w.members("webhook "+e.Type, data)
	}
	w.sdk(key)
}

// sdk calls a server below a path, and follows its events.
func (w *walker) sdk(key *harness.Client) {
	w.t.Helper()
	c, err := sdk.New(key.URL, sdk.WithSecret(key.Bearer))
	if err != nil {
		w.t.Fatal(err)
	}
	for e, err := range c.Events.Stream(w.t.Context(), sdk.StreamOptions{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		var data any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			w.t.Error(err)
		}
		w.members("streamed "+e.Type, data)
		break
	}
}

// merchant signs in to the dashboard.
func (w *walker) merchant() {
	w.t.Helper()
	resp, _ := w.ask(http.MethodGet, "/pay/dashboard", "")
	w.ask(http.MethodGet, "/pay/dashboard/sign-in", "")
	w.ask(http.MethodGet, "/pay/dashboard/sign-in?lang=de", "")
	if to := resp.Header.Get("Location"); !strings.HasPrefix(to, "/pay/dashboard/sign-in") {
		w.t.Errorf("a stranger is sent to %q", to)
	}
	form := url.Values{"login": {harness.Payee}, "password": {"correct horse battery"}}
	resp, body := w.ask(
		http.MethodPost,
		"/pay/dashboard/sign-in",
		form.Encode(),
		"Content-Type",
		"application/x-www-form-urlencoded",
		"Origin",
		w.origin,
	)
	if resp.StatusCode != http.StatusSeeOther {
		w.t.Fatalf("signing in answers %d: %s", resp.StatusCode, body)
	}
	w.find("/pay/dashboard/test/overview", "the walk")
}
