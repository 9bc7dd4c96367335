package main_test

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

	"github.com/paylink/paylink/internal/gateway/pages"
)

// formsDocument gives the n-th block of docs/forms.md in a language.
func formsDocument(t *testing.T, language string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "forms.md"))
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

// snippet is the line of docs/forms.md, for a form of this server.
func snippet(t *testing.T, p *process, form string) string {
	t.Helper()
	src, integrity := pages.Embed(p.url)
	line := formsDocument(t, "html")
	for _, fill := range [][2]string{{"https://pay.example/embed.js?v=VERSION", src}, {"sha384-HASH", integrity}, {"frm_FORM", form}, {"https://pay.example", p.url}} {
		if !strings.Contains(line, fill[0]) {
			t.Fatalf("the line of docs/forms.md has no %s", fill[0])
		}
		line = strings.ReplaceAll(line, fill[0], fill[1])
	}
	return line
}

// merchantSite is the program of docs/forms.md, built and started as it stands there.
func merchantSite(t *testing.T, p *process, address, form string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"main.go": formsDocument(t, "go"), "go.mod": "module shop\n\ngo 1.24\n", "snippet.html": snippet(t, p, form)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "shop", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the program of docs/forms.md: %v\n%s", err, out)
	}
	ctx, stop := context.WithCancel(context.Background())
	run := exec.CommandContext(ctx, filepath.Join(dir, "shop"), "-listen", address, "-paylink", p.url, "-origin", "http://"+localhost(address), //nolint:gosec // just built
		"-form", form, "-snippet", filepath.Join(dir, "snippet.html"))
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = run.Wait() })
	eventually(t, "the merchant's site answers", func() bool {
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

// localhost is another name of a loopback address: for a browser another site.
func localhost(address string) string { return strings.Replace(address, "127.0.0.1", "localhost", 1) }

func numbered(origin string) string { return strings.Replace(origin, "localhost", "127.0.0.1", 1) }

// formOn makes a form that the site may frame.
func formOn(t testing.TB, key *client, origin, more string) string {
	t.Helper()
	return str(t, key.ok("POST", "/api/forms", `{"name":"Tickets","amounts":["5","12.50"],"currency":"EUR","fields":[{"name":"email","required":true},{"name":"size","label":"Size"}],
		"origins":["`+origin+`"],"redirectUrl":"`+origin+`/thanks"`+more+`}`), "id")
}

// inFrame waits for the frame of our server, and gives a browser inside it. The
// frame keeps its target while it goes from page to page.
func (b *browser) inFrame(prefix string) *browser {
	b.t.Helper()
	var inner *browser
	eventually(b.t, "a frame shows "+prefix, func() bool {
		infos, err := chromedp.Targets(b.ctx)
		if err != nil {
			return false
		}
		for _, info := range infos {
			if info.Type == "iframe" && strings.HasPrefix(info.URL, prefix) {
				ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(info.TargetID), chromedp.WithDetachOnCancel())
				b.t.Cleanup(cancel)
				inner = &browser{t: b.t, ctx: ctx, policies: map[string]string{}}
				return chromedp.Do(ctx) == nil
			}
		}
		return false
	})
	return inner
}

// frames tells whether a frame shows a page of our server. One that the browser
// refused keeps the address and shows an error of the browser's own.
func (b *browser) frames(prefix string) bool {
	b.t.Helper()
	infos, err := chromedp.Targets(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	refused := 0
	for _, info := range infos {
		if info.Type != "iframe" || !strings.HasPrefix(info.URL, prefix) {
			continue
		}
		ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(info.TargetID), chromedp.WithDetachOnCancel())
		at, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("main") ? "our page" : location.href`))
		cancel()
		switch {
		case err != nil:
			b.t.Fatal(err)
		case !strings.HasPrefix(at, "chrome-error:"):
			return true
		}
		refused++
	}
	if refused == 0 {
		b.t.Error("no frame was even tried")
	}
	return false
}

// watch keeps what the page around a frame hears, in the page itself.
const watch = `window.heard = []; window.keys = [];
for (const type of ["success", "declined", "pending", "resize"])
  document.addEventListener("paylink:" + type, (e) => { if (type === "success" && window.stay) e.preventDefault(); heard.push({type, ...e.detail}); });
window.messages = []; addEventListener("message", (e) => messages.push(JSON.stringify(e.data)));
for (const type of ["keydown", "input", "paste"]) addEventListener(type, (e) => keys.push(type + (e.key || "")), true);`

// watching makes every page of the tab watch from its start.
func (b *browser) watching(more string) {
	b.t.Helper()
	b.run(chromedp.Navigate("about:blank")) // the tab is there
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch + more}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) heardEvent(kind string) {
	b.t.Helper()
	b.shows("the page hears "+kind, `window.heard.some(e => e.type === "`+kind+`")`)
}

// fillIn fills in the form of formOn in the frame.
func (b *browser) fillIn() {
	b.t.Helper()
	b.run(chromedp.WaitVisible(css("#fill")))
	b.typed("#f-email", "grace@example.com")
	b.typed("#f-size", "M")
}

// typed types into a field until all of it has arrived: while the page around a frame
// gives it another height, a key may get lost.
func (b *browser) typed(field, text string) {
	b.t.Helper()
	eventually(b.t, field+" holds "+text, func() bool {
		b.run(chromedp.Click(css(field)), chromedp.Clear(css(field)), chromedp.SendKeys(css(field), text))
		return ask[string](b, `document.querySelector("`+field+`").value`) == text
	})
}

// TestFormOnAWebsite: a visitor pays on the page of docs/forms.md, which is another
// site than ours; the page hears of it, is sent the signed result, and checks it.
func TestFormOnAWebsite(t *testing.T) {
	t.Parallel()
	p := serve(t)
	_, key := p.merchant(t, "ada-lovelace")
	address := freeAddress(t)
	origin := "http://" + localhost(address)
	form := formOn(t, key, origin, "")
	merchantSite(t, p, address, form)
	b := openBrowser(t)
	b.watching(`window.stay = true;`)
	b.open(origin + "/")
	frame := b.inFrame(p.url + "/f/" + form)
	b.heardEvent("resize")
	frame.fillIn()
	b.picture("form-on-a-website")
	frame.click("#fill button[type=submit]")
	frame.fill("4000000000000002") // declined
	frame.click(payButton)
	b.heardEvent("declined")
	frame.click("a.button")
	frame.pay("4242424242424242")
	b.heardEvent("success")
	said := ask[map[string]any](b, `window.heard.find(e => e.type === "success")`)
	links := list(t, key.ok("GET", "/api/links", ""), "data")
	payments := list(t, key.ok("GET", "/api/payments?status=succeeded", ""), "data")
	if len(links) != 1 || len(payments) != 1 || said["payment"] != payments[0]["id"] || links[0]["form"] != form {
		t.Fatalf("the page heard %v; links %v, payments %v", said, links, payments)
	}
	if m := payments[0]["metadata"].(map[string]any); m["size"] != "M" || m["form"] != form {
		t.Errorf("the payment knows %v", m)
	}
	b.readsNothing()
	b.resultIsUsedOnce(origin, fmt.Sprint(said["result"]))
	// The result of one site is refused by another.
	other := freeAddress(t)
	merchantSite(t, p, other, formOn(t, key, "http://"+localhost(other), ""))
	b.open("http://" + localhost(other) + "/thanks?paylink_result=" + fmt.Sprint(said["result"]))
	b.sees("Not paid")
}

// readsNothing: what was typed in the frame is nowhere to be had for the page around it.
func (b *browser) readsNothing() {
	b.t.Helper()
	inside := ask[string](b, `(() => { const f = document.querySelector("paylink-form").shadowRoot.querySelector("iframe");
  if (f.contentDocument) return "the document"; try { return "the body: " + f.contentWindow.document.body.innerText } catch (e) { return e.name } })()`)
	if inside != "SecurityError" {
		b.t.Errorf("the page reads %s", inside)
	}
	heard := ask[string](b, `JSON.stringify([window.messages, window.keys, document.documentElement.outerHTML])`)
	for _, secret := range []string{"4242", "4000000000000002", "7391", "grace@example.com", "keydown"} {
		if strings.Contains(heard, secret) {
			b.t.Errorf("the page heard %s: %s", secret, heard)
		}
	}
}

func (b *browser) resultIsUsedOnce(origin, result string) {
	b.t.Helper()
	b.open(origin + "/thanks?paylink_result=" + url.QueryEscape(result))
	b.sees("Thank you")
	b.open(origin + "/thanks?paylink_result=" + url.QueryEscape(result))
	b.sees("Not paid")
	cut := strings.LastIndex(result, ".") - 5
	b.open(origin + "/thanks?paylink_result=" + url.QueryEscape(result[:cut]+"AAAAA"+result[cut+5:]))
	b.sees("Not paid")
}

// TestFormSendsThePayerBack: without a listener the page goes on by itself; a bank's
// challenge takes the window and comes back; the plain link works without a script.
func TestFormSendsThePayerBack(t *testing.T) {
	t.Parallel()
	p := serve(t)
	_, key := p.merchant(t, "ada-lovelace")
	address := freeAddress(t)
	origin := "http://" + localhost(address)
	form := formOn(t, key, origin, "")
	merchantSite(t, p, address, form)
	b := openBrowser(t)
	b.watching("")
	b.open(origin + "/")
	frame := b.inFrame(p.url + "/f/" + form)
	frame.fillIn()
	frame.click("#fill button[type=submit]")
	frame.pay("4242424242424242")
	b.sees("Thank you")

	b.open(origin + "/")
	frame = b.inFrame(p.url + "/f/" + form)
	frame.fillIn()
	frame.click("#fill button[type=submit]")
	frame.pay("4000000000003220")
	b.heardEvent("pending")
	frame.click("a.button")
	b.sees("Confirm your payment")
	b.click("button")
	b.sees("Payment received")
	b.click("a.button")
	b.sees("Thank you")

	b.scripts(false)
	b.open(origin + "/")
	b.click("paylink-form a")
	b.sees("Pay ada-lovelace")
	b.typed("#f-email", "grace@example.com")
	b.click("#fill button[type=submit]")
	b.pay("4242424242424242")
	b.sees("Payment received")
	b.click("a.button")
	b.sees("Thank you")
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

// TestFormAgainstAHostilePage: a page that is not allowed cannot frame the form; one
// that is cannot be impersonated by another, nor make a payer press what is covered,
// nor send the form for them.
func TestFormAgainstAHostilePage(t *testing.T) {
	t.Parallel()
	p := serve(t)
	_, key := p.merchant(t, "ada-lovelace")
	var form string
	evil := site(t, func(r *http.Request) string {
		if r.URL.Path == "/forger" { // a frame beside ours
			return `<script>window.got = []; addEventListener("message", e => got.push(e.data));
				const say = (to, type) => to.postMessage({paylink: 1, type, form: "` + form + `", payment: "pay_x", status: "succeeded", result: "x", redirect: "https://evil.example/"}, "*");
				setInterval(() => { say(parent, "success"); for (let i = 0; i < parent.length; i++) if (parent[i] !== window) { say(parent[i], "hello"); say(parent[i], "success") } }, 50)</script>`
		}
		return `<h1>Win a prize</h1><iframe id=direct src="` + p.url + `/f/` + form + `"></iframe>` + snippet(t, p, form)
	})
	good := site(t, func(r *http.Request) string {
		if r.URL.Path == "/forged" { // the forger as another site, so that it can be looked into
			return `<h1>Shop</h1>` + snippet(t, p, form) + `<iframe id=forger src="` + numbered(evil) + `/forger"></iframe>`
		}
		if r.URL.Path == "/covered" {
			return `<h1>Shop</h1>` + snippet(t, p, form) + `<div style="position:fixed;inset:0;background:#fffe;pointer-events:none">Press here for your prize</div>`
		}
		return `<h1>Shop</h1>` + snippet(t, p, form)
	})
	form = formOn(t, key, good, "")
	b := openBrowser(t)
	t.Run("a page that is not allowed frames nothing", func(t *testing.T) {
		b.open(evil + "/")
		b.sees("Win a prize")
		b.shows("the component gives up and shows the link", `document.querySelector("paylink-form").shadowRoot.querySelector("slot")`)
		if b.frames(p.url) {
			t.Error("the form is framed")
		}
	})
	t.Run("a link that the form made is framed no more easily", func(t *testing.T) { b.linkIsNotFramed(p, key, good, form) })
	t.Run("forged messages are ignored", func(t *testing.T) { b.forgedMessages(p, good, evil, form) })
	t.Run("what is covered cannot be pressed", func(t *testing.T) { b.overlaid(p, key, good, form) })
	t.Run("another page cannot send the form", func(t *testing.T) {
		before := len(list(t, key.ok("GET", "/api/links", ""), "data"))
		b.open(good + "/")
		ask[any](b, `fetch("`+p.url+`/f/`+form+`", {method: "POST", mode: "no-cors", body: new URLSearchParams({amount: "5", email: "a@b.example"})}).catch(() => null)`)
		ask[any](b, `document.body.insertAdjacentHTML("beforeend", '<form id=theirs method=post action="`+p.url+`/f/`+form+`"><input name=amount value=5><input name=email value=a@b.example></form>'), document.getElementById("theirs").submit(), null`)
		b.shows("our refusal is shown", `location.href.startsWith("`+p.url+`/f/") && document.querySelector("h1") !== null && document.querySelector("form#fill, form#pay") === null`)
		if after := len(list(t, key.ok("GET", "/api/links", ""), "data")); after != before {
			t.Errorf("%d links became %d", before, after)
		}
	})
}

func (b *browser) linkIsNotFramed(p *process, key *client, good, form string) {
	b.open(good + "/")
	frame := b.inFrame(p.url + "/f/" + form)
	frame.fillIn()
	frame.click("#fill button[type=submit]")
	frame.run(chromedp.WaitVisible(css("#number")))
	made := str(b.t, list(b.t, key.ok("GET", "/api/links", ""), "data")[0], "url")
	thief := site(b.t, func(*http.Request) string {
		return `<h1>Thief</h1><iframe src="` + made + `" onload="window.loaded = true"></iframe>`
	})
	b.open(thief + "/")
	b.shows("the frame has an answer", `window.loaded`)
	if b.frames(p.url) {
		b.t.Error("the link is framed by a site that its form does not know")
	}
}

func (b *browser) forgedMessages(p *process, good, evil, form string) {
	b.watching("")
	b.open(good + "/forged")
	b.inFrame(p.url + "/f/" + form)
	forger := b.inFrame(numbered(evil) + "/forger")
	b.heardEvent("resize")
	b.shows("forged messages arrive", `window.messages.filter(m => m.includes("pay_x")).length > 5`)
	if got := ask[float64](b, `window.heard.filter(e => e.type !== "resize").length`); got != 0 {
		b.t.Errorf("the page took %v forged messages", got)
	}
	if got := ask[float64](forger, `window.got.length`); got != 0 {
		b.t.Errorf("our frame answered the forger %v times", got)
	}
	if at := ask[string](b, `location.href`); at != good+"/forged" {
		b.t.Errorf("the page was led to %s", at)
	}
}

func (b *browser) overlaid(p *process, key *client, good, form string) {
	before := len(list(b.t, key.ok("GET", "/api/links", ""), "data"))
	b.open(good + "/covered")
	frame := b.inFrame(p.url + "/f/" + form)
	frame.fillIn()
	frame.click("#fill button[type=submit]")
	frame.shows("a press under the layer is refused", `!document.getElementById("covered").hidden`)
	if after := len(list(b.t, key.ok("GET", "/api/links", ""), "data")); after != before {
		b.t.Errorf("%d links became %d under a layer", before, after)
	}
}

// A form of an account is not to be had under another's id, and a page of a form
// that is archived says so.
func TestFormIsArchived(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada-lovelace")
	form := formOn(t, key, "https://shop.example", "")
	if status, body := p.get(t, "/f/"+form); status != http.StatusOK || !regexp.MustCompile(`name="attempt" value="[0-9a-z]{26}"`).MatchString(body) {
		t.Errorf("the form's page: %d", status)
	}
	key.ok("DELETE", "/api/forms/"+form, "")
	eventually(t, "the form's page says that it is over", func() bool {
		status, body := p.get(t, "/f/"+form)
		return status == http.StatusGone && strings.Contains(body, "This form is not active")
	})
}

// formRooms shows the dashboard's room of forms.
func formRooms(g *gallery) {
	g.show("/dashboard/test/forms", "forms empty")
	form := formOn(g.t, g.key, "https://shop.example", `,"description":"Two tickets for the evening of 12 December"`)
	g.key.ok("POST", "/api/forms", `{"name":"Donations","minAmount":"5","maxAmount":"500","currency":"EUR","disabled":true}`)
	g.show("/dashboard/test/forms", "forms")
	g.show("/dashboard/test/forms/new", "form new")
	g.b.click("main form button.primary")
	g.b.run(waitErrors)
	g.b.audit("dashboard form new errors", g.axe)
	g.show("/dashboard/test/forms/"+form, "form")
	g.show("/dashboard/test/forms/"+form+"/edit", "form edit")
	g.show("/dashboard/test/forms/"+form+"/archive", "form archive")
	g.show("/f/"+form, "form page")
	g.b.click("#fill button[type=submit]")
	g.b.run(waitErrors)
	g.b.audit("form page errors", g.axe)
}

// TestFormAsAButton: with mode="button" the element is a button, labelled by the
// site, that leads to the form's own page; nothing is framed.
func TestFormAsAButton(t *testing.T) {
	t.Parallel()
	p := serve(t)
	_, key := p.merchant(t, "ada-lovelace")
	var form string
	shop := site(t, func(*http.Request) string {
		return `<h1>Shop</h1>` + strings.Replace(snippet(t, p, form), "<paylink-form ", `<paylink-form mode="button" label="Buy a ticket" `, 1)
	})
	form = formOn(t, key, shop, "")
	b := openBrowser(t)
	b.open(shop + "/")
	b.shows("the button is there, and no frame", `(s => !s.querySelector("iframe") && s.querySelector("a").textContent === "Buy a ticket")(document.querySelector("paylink-form").shadowRoot)`)
	ask[bool](b, `(document.querySelector("paylink-form").shadowRoot.querySelector("a").click(), true)`)
	b.sees("Pay ada-lovelace")
	b.typed("#f-email", "grace@example.com")
	b.click("#fill button[type=submit]")
	b.pay("4242424242424242")
	b.sees("Payment received")
}
