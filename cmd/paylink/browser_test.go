package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// browser is one tab of a real Chromium with a fresh profile.
type browser struct {
	t     testing.TB
	ctx   context.Context
	looks []look // how audit looks at a page

	mu       sync.Mutex
	requests []string // URLs that pages asked for
	policies map[string]string
	arrivals []arrival                                // how each page came
	refetch  []page.BackForwardCacheNotRestoredReason // why pages that were gone back to had not been kept
}

// arrival is a page that came, and whether the browser had kept it.
type arrival struct {
	url  string
	kept bool
}

// keepsNoStore is Chromium's habit of keeping pages for the back button although
// they say no-store.
const keepsNoStore = "CacheControlNoStoreEnterBackForwardCache"

// openBrowser starts Chromium, as people run it but for the features named; it is
// closed when the test ends.
func openBrowser(t testing.TB, without ...string) *browser {
	t.Helper()
	t.Log("engine: Chromium") // scripts/test.sh counts these
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-features", strings.Join(append(without, "Translate"), ",")), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1000, 900))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &browser{t: t, ctx: ctx, looks: looks, policies: map[string]string{}}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("closing Chromium: %v", err)
		}
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("Chromium (Debian's package chromium; scripts/needs.sh installs it): %v", err)
	}
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) heard(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *page.EventFrameNavigated:
		b.arrivals = append(b.arrivals, arrival{e.Frame.URL, e.Type == page.NavigationTypeBackForwardCacheRestore})
	case *page.EventBackForwardCacheNotUsed:
		for _, why := range e.NotRestoredExplanations {
			b.refetch = append(b.refetch, why.Reason)
		}
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *network.EventResponseReceived:
		if e.Type != network.ResourceTypeDocument {
			return
		}
		for name, value := range e.Response.Headers {
			if strings.EqualFold(name, "Content-Security-Policy") {
				b.policies[e.Response.URL], _ = value.(string)
			}
		}
	}
}

// onlyOwnOrigin fails the test when a page asked for anything of another origin,
// or came without a policy.
func (b *browser) onlyOwnOrigin(origin string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == 0 || len(b.policies) == 0 {
		b.t.Error("no request was recorded")
	}
	for _, r := range b.requests {
		u, err := url.Parse(r)
		if err == nil && u.Scheme == "data" {
			continue // nobody is asked: Chromium draws its own date picker with it
		}
		if err != nil || (u.Scheme+"://"+u.Host != origin && r != "about:blank") {
			b.t.Errorf("a page asked for %s", r)
		}
	}
	for address, policy := range b.policies {
		ancestors := "frame-ancestors 'none'"
		switch {
		case strings.Contains(address, "/forms/") && strings.Contains(address, "/preview"):
			ancestors = "frame-ancestors 'self'" // a form, shown to the merchant who makes it
		case strings.Contains(address, "/f/frm_"):
			ancestors = "frame-ancestors https://shop.example;" // the form's own origin
		}
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, ancestors) || strings.Contains(policy, "unsafe") {
			b.t.Errorf("%s has the policy %q", address, policy)
		}
	}
}

// run runs steps within the patience of a test.
func (b *browser) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for i, s := range steps {
		b.arrived()
		err := chromedp.Do(ctx, s)
		for lostSight(err) {
			err = chromedp.Do(ctx, s)
		}
		if err != nil {
			b.t.Fatalf("step %d: %v\n%s", i, err, b.html())
		}
	}
}

// lostSight tells whether a step found its element and lost it before it did anything:
// when a page has arrived, the browser names all elements anew to the debugger, those
// that could be seen before included.
func lostSight(err error) bool {
	var said *cdproto.Error
	return errors.As(err, &said) && slices.Contains([]string{
		"Could not find node with given id", "No node with given id found", "Node with given id does not belong to the document",
	}, said.Message)
}

// arrived waits until all of the page has come and its scripts have begun.
func (b *browser) arrived() {
	b.t.Helper()
	b.shows("all of the page has come", "true")
}

// shows waits until an expression holds in a page that has arrived. One that is being
// left may have no heading, or no document: it looks again.
func (b *browser) shows(what, expression string) {
	b.t.Helper()
	var last error
	defer func() {
		if b.t.Failed() && last != nil {
			b.t.Log(last)
		}
	}()
	eventually(b.t, what, func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		so, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.readyState === "complete" && !!(`+expression+`)`))
		last = err
		return err == nil && so
	})
}

// reads waits until the element has the words.
func (b *browser) reads(selector, words string) {
	b.t.Helper()
	b.shows("the browser shows "+words, `document.querySelector(`+quoted(selector)+`).innerText.includes(`+quoted(words)+`)`)
}

// quoted is a text as a script writes it.
func quoted(s string) string {
	raw, _ := json.Marshal(s) //nolint:errchkjson // a text can always be written
	return string(raw)
}

// ask evaluates an expression; it works on pages that forbid scripts too.
func ask[T any](b *browser, expression string) T {
	b.t.Helper()
	return askWithin[T](b, patience, expression)
}

func askWithin[T any](b *browser, limit time.Duration, expression string) T {
	b.t.Helper()
	b.arrived()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.200s: %v", expression, err)
	}
	return v
}

func (b *browser) html() string {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("html")))
	if err != nil {
		return err.Error()
	}
	return s
}

func (b *browser) open(u string) {
	b.t.Helper()
	b.run(chromedp.Navigate(u))
}

// back presses the back button. A page that was kept fires no load event, so it
// waits until the browser says that a page came; it tells whether that one was kept.
func (b *browser) back() (kept bool) {
	b.t.Helper()
	history, err := chromedp.Call(b.ctx, page.GetNavigationHistory, cdp.Empty{})
	if err != nil {
		b.t.Fatal(err)
	}
	entry := history.Entries[history.CurrentIndex-1]
	b.mu.Lock()
	before := len(b.arrivals)
	b.mu.Unlock()
	if _, err := chromedp.Call(b.ctx, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: entry.ID}); err != nil {
		b.t.Fatal(err)
	}
	eventually(b.t, "the back button shows "+entry.URL, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, a := range b.arrivals[before:] { // the page before may still be told
			if a.url == entry.URL {
				kept = a.kept
				return true
			}
		}
		return false
	})
	return kept
}

// fetchedBecause waits until the browser says that it had not kept a page, for
// this reason.
func (b *browser) fetchedBecause(reason page.BackForwardCacheNotRestoredReason) {
	b.t.Helper()
	eventually(b.t, "the browser says "+reason.String(), func() bool { return slices.Contains(b.notKept(), reason) })
}

func (b *browser) notKept() []page.BackForwardCacheNotRestoredReason {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.refetch)
}

// press clicks where an element stands on the screen. Unlike click it works in a
// page that was kept, whose elements the debugger has lost sight of.
func (b *browser) press(selector string) {
	b.t.Helper()
	at := ask[[]float64](b, `(() => { const e = document.querySelector(`+quoted(selector)+`); e.scrollIntoView({block: "center", behavior: "instant"});
  const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`)
	b.run(chromedp.MouseClickXY(at[0], at[1]))
}

// sees waits until the page's heading has the words.
func (b *browser) sees(heading string) {
	b.t.Helper()
	b.reads("h1", heading)
}

// text waits until the page's main part has the words.
func (b *browser) text(words string) {
	b.t.Helper()
	b.reads("main", words)
}

// inDashboard waits until a page of the dashboard is there, for somebody who is signed in.
func (b *browser) inDashboard() {
	b.t.Helper()
	b.shows("the dashboard opens", `document.querySelector(".side") !== null`)
}

func css(s string) chromedp.CSS { return chromedp.CSS(s) }

// fill types a card into the form, key by key.
func (b *browser) fill(number string) {
	b.t.Helper()
	b.run(chromedp.WaitVisible(css("#number")),
		chromedp.Clear(css("#number")), chromedp.SendKeys(css("#number"), number),
		chromedp.Clear(css("#exp")), chromedp.SendKeys(css("#exp"), "1234"),
		chromedp.Clear(css("#cvc")), chromedp.SendKeys(css("#cvc"), "7391"))
}

// waitErrors waits for the list of what is wrong with the form.
var waitErrors = chromedp.WaitVisible(css("#errors"))

const payButton = "#pay button[type=submit]"

func (b *browser) pay(number string) {
	b.t.Helper()
	b.fill(number)
	b.run(chromedp.Click(css(payButton)))
}

func (b *browser) click(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(css(selector)))
}

func (b *browser) scripts(on bool) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		b.t.Fatal(err)
	}
}

// look is how a page is looked at.
type look struct {
	name, scheme  string
	width, height int64
	colours       bool // differs from another look in its colours alone
}

var looks = []look{{"light", "light", 1000, 900, false}, {"dark", "dark", 1000, 900, true}, {"narrow", "light", 320, 700, false}}

// looksRightToLeft are for pages in a language that is written so.
var looksRightToLeft = []look{{"rtl", "light", 1000, 900, false}, {"rtl-dark-narrow", "dark", 320, 700, false}}

func (b *browser) wear(l look) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.run(chromedp.EmulateViewport(l.width, l.height))
}

// maxPictureHeight is in pixels; Chromium makes no picture of a page that is much
// longer, so of such a one the screenful is taken.
const maxPictureHeight = 12_000

// picture writes the page as it is into the folder PAYLINK_SCREENSHOTS, if set.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("PAYLINK_SCREENSHOTS")
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		b.t.Fatal(err)
	}
	shot := chromedp.FullScreenshot(100)
	if ask[float64](b, `document.documentElement.scrollHeight`) > maxPictureHeight {
		shot = chromedp.CaptureScreenshot()
	}
	png, err := chromedp.Run(b.ctx, shot)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
