package story

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/gateway/pages"
)

// formsDocument returns the n-th block of docs/forms.md in a language.
func formsDocument(t *testing.T, language string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(harness.ModuleRoot(t), "docs", "forms.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(raw), "\n```"+language+"\n")
	block, _, closed := strings.Cut(block, "\n```")
	if !ok || !closed {
		t.Fatalf("docs/forms.md has no block in %s", language)
	}
	return block + "\n"
}

// snippet returns the line of docs/forms.md, for a form of this server.
func snippet(t *testing.T, p *harness.Process, form string) string {
	t.Helper()
	src, integrity := pages.Embed(p.URL)
	line := formsDocument(t, "html")
	for _, fill := range [][2]string{{"https://pay.example/embed.js?v=VERSION", src}, {"sha384-HASH", integrity}, {"frm_FORM", form},
		{"https://pay.example", p.URL}} {
		if !strings.Contains(line, fill[0]) {
			t.Fatalf("the line of docs/forms.md has no %s", fill[0])
		}
		line = strings.ReplaceAll(line, fill[0], fill[1])
	}
	return line
}

// merchantSite builds and starts the program of docs/forms.md, unchanged.
func merchantSite(t *testing.T, p *harness.Process, address, form string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"main.go": formsDocument(t, "go"), "go.mod": "module shop\n\ngo 1.24\n",
		"snippet.html": snippet(t, p, form)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "shop", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the program of docs/forms.md: %v\n%s", err, out)
	}
	ctx, stop := context.WithCancel(context.Background())
	run := exec.CommandContext(ctx, filepath.Join(dir, "shop"), "-listen", address, "-paylink", p.URL, "-origin", "http://"+localhost(address),
		"-form", form, "-snippet", filepath.Join(dir, "snippet.html"))
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = run.Wait() })
	await.Until(t, "the merchant's site answers", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
}

// localhost returns another name of a loopback address, which a browser treats as another site.
func localhost(address string) string { return strings.Replace(address, "127.0.0.1", "localhost", 1) }

func numbered(origin string) string { return strings.Replace(origin, "localhost", "127.0.0.1", 1) }

// inFrame waits for our server's frame, and returns a browser inside it. The frame keeps its
// target from page to page.
func inFrame(b *harness.Browser, prefix string) *harness.Browser {
	b.T.Helper()
	var inner *harness.Browser
	await.Until(b.T, "a frame shows "+prefix, func() bool {
		infos, err := chromedp.Targets(b.Ctx)
		if err != nil {
			return false
		}
		for _, info := range infos {
			if info.Type == "iframe" && strings.HasPrefix(info.URL, prefix) {
				ctx, cancel := chromedp.NewContext(b.Ctx, chromedp.WithTargetID(info.TargetID), chromedp.WithDetachOnCancel())
				b.T.Cleanup(cancel)
				inner = b.Within(ctx)
				return chromedp.Do(ctx) == nil
			}
		}
		return false
	})
	return inner
}

// frames reports whether a frame shows a page of our server. A frame that the browser refused
// keeps the address and shows the browser's own error.
func frames(b *harness.Browser, prefix string) bool {
	b.T.Helper()
	infos, err := chromedp.Targets(b.Ctx)
	if err != nil {
		b.T.Fatal(err)
	}
	refused := 0
	for _, info := range infos {
		if info.Type != "iframe" || !strings.HasPrefix(info.URL, prefix) {
			continue
		}
		ctx, cancel := chromedp.NewContext(b.Ctx, chromedp.WithTargetID(info.TargetID), chromedp.WithDetachOnCancel())
		at, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("main") ? "our page" : location.href`))
		cancel()
		switch {
		case err != nil:
			b.T.Fatal(err)
		case !strings.HasPrefix(at, "chrome-error:"):
			return true
		}
		refused++
	}
	if refused == 0 {
		b.T.Error("no frame was even tried")
	}
	return false
}

// watch records what the page around a frame receives, in the page itself.
const watch = `window.heard = []; window.keys = [];
for (const type of ["success", "declined", "pending", "resize"])
  document.addEventListener("paylink:" + type, (e) => { if (type === "success" && window.stay) e.preventDefault(); heard.push({type, ...e.detail}); });
window.messages = []; addEventListener("message", (e) => messages.push(JSON.stringify(e.data)));
for (const type of ["keydown", "input", "paste"]) addEventListener(type, (e) => keys.push(type + (e.key || "")), true);`

// watching makes every page of the tab watch from its start.
func watching(b *harness.Browser, more string) {
	b.T.Helper()
	b.Run(chromedp.Navigate("about:blank")) // the tab is there
	if _, err := chromedp.Call(b.Ctx, page.AddScriptToEvaluateOnNewDocument,
		page.AddScriptToEvaluateOnNewDocumentParams{Source: watch + more}); err != nil {
		b.T.Fatal(err)
	}
}

func heardEvent(b *harness.Browser, kind string) {
	b.T.Helper()
	b.Shows("the page hears "+kind, `window.heard.some(e => e.type === "`+kind+`")`)
}

// fillIn fills in the form of formOn in the frame.
func fillIn(b *harness.Browser) {
	b.T.Helper()
	b.Run(chromedp.WaitVisible(harness.CSS("#fill")))
	typed(b, "#f-email", "grace@example.com")
	typed(b, "#f-size", "M")
}

// typed types into a field until all of it has arrived: while the page around a frame
// gives it another height, a key may get lost.
func typed(b *harness.Browser, field, text string) {
	b.T.Helper()
	await.Until(b.T, field+" holds "+text, func() bool {
		b.Run(chromedp.Click(harness.CSS(field)), chromedp.Clear(harness.CSS(field)), chromedp.SendKeys(harness.CSS(field), text))
		return harness.Ask[string](b, `document.querySelector("`+field+`").value`) == text
	})
}

// TestFormOnAWebsite checks that a visitor pays on the page of docs/forms.md, which is another
// site than ours, and that the page is notified, receives the signed result, and verifies it.
func TestFormOnAWebsite(t *testing.T) {
	t.Parallel()
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada-lovelace")
	address := harness.FreeAddress(t)
	origin := "http://" + localhost(address)
	form := harness.Form(t, key, origin, "")
	merchantSite(t, p, address, form)
	b := harness.OpenBrowser(t)
	watching(b, `window.stay = true;`)
	b.Open(origin + "/")
	frame := inFrame(b, p.URL+"/f/"+form)
	heardEvent(b, "resize")
	fillIn(frame)
	b.Picture("form-on-a-website")
	frame.Click("#fill button[type=submit]")
	frame.Fill("4000000000000002") // declined
	frame.Click(harness.PayButton)
	heardEvent(b, "declined")
	frame.Click("a.button")
	frame.Pay("4242424242424242")
	heardEvent(b, "success")
	said := harness.Ask[map[string]any](b, `window.heard.find(e => e.type === "success")`)
	links := harness.List(t, key.OK("GET", "/api/links", ""), "data")
	payments := harness.List(t, key.OK("GET", "/api/payments?status=succeeded", ""), "data")
	if len(links) != 1 || len(payments) != 1 || said["payment"] != payments[0]["id"] || links[0]["form"] != form {
		t.Fatalf("the page heard %v; links %v, payments %v", said, links, payments)
	}
	if m := payments[0]["metadata"].(map[string]any); m["size"] != "M" || m["form"] != form {
		t.Errorf("the payment knows %v", m)
	}
	readsNothing(b)
	resultIsUsedOnce(b, origin, fmt.Sprint(said["result"]))
	// The result of one site is refused by another.
	other := harness.FreeAddress(t)
	merchantSite(t, p, other, harness.Form(t, key, "http://"+localhost(other), ""))
	b.Open("http://" + localhost(other) + "/thanks?paylink_result=" + fmt.Sprint(said["result"]))
	b.Sees("Not paid")
}

// readsNothing checks that the page around the frame cannot read what was typed in it.
func readsNothing(b *harness.Browser) {
	b.T.Helper()
	inside := harness.Ask[string](b, `(() => { const f = document.querySelector("paylink-form").shadowRoot.querySelector("iframe");
  if (f.contentDocument) return "the document"; try { return "the body: " + f.contentWindow.document.body.innerText } catch (e) { return e.name } })()`)
	if inside != "SecurityError" {
		b.T.Errorf("the page reads %s", inside)
	}
	heard := harness.Ask[string](b, `JSON.stringify([window.messages, window.keys, document.documentElement.outerHTML])`)
	for _, secret := range []string{"4242", "4000000000000002", "7391", "grace@example.com", "keydown"} {
		if strings.Contains(heard, secret) {
			b.T.Errorf("the page heard %s: %s", secret, heard)
		}
	}
}

func resultIsUsedOnce(b *harness.Browser, origin, result string) {
	b.T.Helper()
	b.Open(origin + "/thanks?paylink_result=" + url.QueryEscape(result))
	b.Sees("Thank you")
	b.Open(origin + "/thanks?paylink_result=" + url.QueryEscape(result))
	b.Sees("Not paid")
	cut := strings.LastIndex(result, ".") - 5
	b.Open(origin + "/thanks?paylink_result=" + url.QueryEscape(result[:cut]+"AAAAA"+result[cut+5:]))
	b.Sees("Not paid")
}

// TestFormSendsThePayerBack checks that without a listener the page continues by itself, that a
// bank's challenge takes over the window and returns, and that the plain link works without a
// script.
func TestFormSendsThePayerBack(t *testing.T) {
	t.Parallel()
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada-lovelace")
	address := harness.FreeAddress(t)
	origin := "http://" + localhost(address)
	form := harness.Form(t, key, origin, "")
	merchantSite(t, p, address, form)
	b := harness.OpenBrowser(t)
	watching(b, "")
	b.Open(origin + "/")
	frame := inFrame(b, p.URL+"/f/"+form)
	fillIn(frame)
	frame.Click("#fill button[type=submit]")
	frame.Pay("4242424242424242")
	b.Sees("Thank you")

	b.Open(origin + "/")
	frame = inFrame(b, p.URL+"/f/"+form)
	fillIn(frame)
	frame.Click("#fill button[type=submit]")
	frame.Pay("4000000000003220")
	heardEvent(b, "pending")
	frame.Click("a.button")
	b.Sees("Confirm your payment")
	b.Click("button")
	b.Sees("Payment received")
	b.Click("a.button")
	b.Sees("Thank you")

	b.Scripts(false)
	b.Open(origin + "/")
	b.Click("paylink-form a")
	b.Sees("Pay ada-lovelace")
	typed(b, "#f-email", "grace@example.com")
	b.Click("#fill button[type=submit]")
	b.Pay("4242424242424242")
	b.Sees("Payment received")
	b.Click("a.button")
	b.Sees("Thank you")
}

// site serves one page under another name than the payment server's.
func site(t testing.TB, body func(r *http.Request) string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!doctype html><html lang=en><title>Site</title>" + body(r)))
	}))
	t.Cleanup(s.Close)
	return "http://" + localhost(strings.TrimPrefix(s.URL, "http://"))
}

// TestFormAgainstAHostilePage checks that a page that is not allowed cannot frame the form, and
// that an allowed one cannot be impersonated by another, make a payer press what is covered, or
// send the form for them.
func TestFormAgainstAHostilePage(t *testing.T) {
	t.Parallel()
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada-lovelace")
	var form string
	evil := site(t, func(r *http.Request) string {
		if r.URL.Path == "/forger" { // a frame beside ours
			return `<script>window.got = []; addEventListener("message", e => got.push(e.data));
				const say = (to, type) => to.postMessage({paylink: 1, type, form: "` + form + `", payment: "pay_x", status: "succeeded", result: "x", redirect: "https://evil.example/"}, "*");
				setInterval(() => { say(parent, "success"); for (let i = 0; i < parent.length; i++) if (parent[i] !== window) { say(parent[i], "hello"); say(parent[i], "success") } }, 50)</script>`
		}
		return `<h1>Win a prize</h1><iframe id=direct src="` + p.URL + `/f/` + form + `"></iframe>` + snippet(t, p, form)
	})
	good := site(t, func(r *http.Request) string {
		if r.URL.Path == "/forged" { // the forger as another site, so that it can be inspected
			return `<h1>Shop</h1>` + snippet(t, p, form) + `<iframe id=forger src="` + numbered(evil) + `/forger"></iframe>`
		}
		if r.URL.Path == "/covered" {
			return `<h1>Shop</h1>` + snippet(
				t,
				p,
				form,
			) + `<div style="position:fixed;inset:0;background:#fffe;pointer-events:none">Press here for your prize</div>`
		}
		return `<h1>Shop</h1>` + snippet(t, p, form)
	})
	form = harness.Form(t, key, good, "")
	b := harness.OpenBrowser(t)
	t.Run("a page that is not allowed frames nothing", func(t *testing.T) {
		b.Open(evil + "/")
		b.Sees("Win a prize")
		b.Shows("the component gives up and shows the link", `document.querySelector("paylink-form").shadowRoot.querySelector("slot")`)
		if frames(b, p.URL) {
			t.Error("the form is framed")
		}
	})
	t.Run("a link that the form made is framed no more easily", func(t *testing.T) { linkIsNotFramed(b, p, key, good, form) })
	t.Run("forged messages are ignored", func(t *testing.T) { forgedMessages(b, p, good, evil, form) })
	t.Run("what is covered cannot be pressed", func(t *testing.T) { overlaid(b, p, key, good, form) })
	t.Run("another page cannot send the form", func(t *testing.T) {
		before := len(harness.List(t, key.OK("GET", "/api/links", ""), "data"))
		b.Open(good + "/")
		harness.Ask[any](
			b,
			`fetch("`+p.URL+`/f/`+form+`", {method: "POST", mode: "no-cors", body: new URLSearchParams({amount: "5", email: "a@b.example"})}).catch(() => null)`,
		)
		harness.Ask[any](
			b,
			`document.body.insertAdjacentHTML("beforeend", '<form id=theirs method=post action="`+p.URL+`/f/`+form+`"><input name=amount value=5><input name=email value=a@b.example></form>'), document.getElementById("theirs").submit(), null`,
		)
		b.Shows(
			"our refusal is shown",
			`location.href.startsWith("`+p.URL+`/f/") && document.querySelector("h1") !== null && document.querySelector("form#fill, form#pay") === null`,
		)
		if after := len(harness.List(t, key.OK("GET", "/api/links", ""), "data")); after != before {
			t.Errorf("%d links became %d", before, after)
		}
	})
}

func linkIsNotFramed(b *harness.Browser, p *harness.Process, key *harness.Client, good, form string) {
	b.Open(good + "/")
	frame := inFrame(b, p.URL+"/f/"+form)
	fillIn(frame)
	frame.Click("#fill button[type=submit]")
	frame.Run(chromedp.WaitVisible(harness.CSS("#number")))
	made := harness.Str(b.T, harness.List(b.T, key.OK("GET", "/api/links", ""), "data")[0], "url")
	thief := site(b.T, func(*http.Request) string {
		return `<h1>Thief</h1><iframe src="` + made + `" onload="window.loaded = true"></iframe>`
	})
	b.Open(thief + "/")
	b.Shows("the frame has an answer", `window.loaded`)
	if frames(b, p.URL) {
		b.T.Error("the link is framed by a site that its form does not know")
	}
}

func forgedMessages(b *harness.Browser, p *harness.Process, good, evil, form string) {
	watching(b, "")
	b.Open(good + "/forged")
	inFrame(b, p.URL+"/f/"+form)
	forger := inFrame(b, numbered(evil)+"/forger")
	heardEvent(b, "resize")
	b.Shows("forged messages arrive", `window.messages.filter(m => m.includes("pay_x")).length > 5`)
	if got := harness.Ask[float64](b, `window.heard.filter(e => e.type !== "resize").length`); got != 0 {
		b.T.Errorf("the page took %v forged messages", got)
	}
	if got := harness.Ask[float64](forger, `window.got.length`); got != 0 {
		b.T.Errorf("our frame answered the forger %v times", got)
	}
	if at := harness.Ask[string](b, `location.href`); at != good+"/forged" {
		b.T.Errorf("the page was led to %s", at)
	}
}

func overlaid(b *harness.Browser, p *harness.Process, key *harness.Client, good, form string) {
	before := len(harness.List(b.T, key.OK("GET", "/api/links", ""), "data"))
	b.Open(good + "/covered")
	frame := inFrame(b, p.URL+"/f/"+form)
	fillIn(frame)
	frame.Click("#fill button[type=submit]")
	frame.Shows("a press under the layer is refused", `!document.getElementById("covered").hidden`)
	if after := len(harness.List(b.T, key.OK("GET", "/api/links", ""), "data")); after != before {
		b.T.Errorf("%d links became %d under a layer", before, after)
	}
}

// A form of an account is not available under another's id, and the page of an archived form says
// so.
func TestFormIsArchived(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada-lovelace")
	form := harness.Form(t, key, "https://shop.example", "")
	if status, body := p.Get(t, "/f/"+form); status != http.StatusOK ||
		!regexp.MustCompile(`name="attempt" value="[0-9a-z]{26}"`).MatchString(body) {
		t.Errorf("the form's page: %d", status)
	}
	key.OK("DELETE", "/api/forms/"+form, "")
	await.Until(t, "the form's page says that it is over", func() bool {
		status, body := p.Get(t, "/f/"+form)
		return status == http.StatusGone && strings.Contains(body, "This form is not active")
	})
}

// TestFormAsAButton checks that with mode="button" the element is a button, labeled by the site,
// that leads to the form's own page, and that nothing is framed.
func TestFormAsAButton(t *testing.T) {
	t.Parallel()
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada-lovelace")
	var form string
	shop := site(t, func(*http.Request) string {
		return `<h1>Shop</h1>` + strings.Replace(snippet(t, p, form), "<paylink-form ", `<paylink-form mode="button" label="Buy a ticket" `, 1)
	})
	form = harness.Form(t, key, shop, "")
	b := harness.OpenBrowser(t)
	b.Open(shop + "/")
	b.Shows(
		"the button is there, and no frame",
		`(s => !s.querySelector("iframe") && s.querySelector("a").textContent === "Buy a ticket")(document.querySelector("paylink-form").shadowRoot)`,
	)
	harness.Ask[bool](b, `(document.querySelector("paylink-form").shadowRoot.querySelector("a").click(), true)`)
	b.Sees("Pay ada-lovelace")
	typed(b, "#f-email", "grace@example.com")
	b.Click("#fill button[type=submit]")
	b.Pay("4242424242424242")
	b.Sees("Payment received")
}
