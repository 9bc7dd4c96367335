package harness

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
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

	"github.com/paylink/paylink/internal/await"
)

// Browser is one tab of a real Chromium with a new profile.
type Browser struct {
	T   testing.TB
	Ctx context.Context

	mu       sync.Mutex
	requests []string // URLs that pages asked for
	policies map[string]string
	arrivals []arrival                                // how each page arrived
	refetch  []page.BackForwardCacheNotRestoredReason // why pages were not restored from the back/forward cache
}

// arrival is a page that arrived, and whether it came from the back/forward cache.
type arrival struct {
	url  string
	kept bool
}

// KeepsNoStore is Chromium's feature of keeping pages for the back button despite no-store.
const KeepsNoStore = "CacheControlNoStoreEnterBackForwardCache"

// OpenBrowser starts Chromium with its defaults except for the named features; it is closed when
// the test ends.
func OpenBrowser(t testing.TB, without ...string) *Browser {
	t.Helper()
	t.Log("engine: Chromium") // scripts/test.sh counts these
	opts := append(
		chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("/usr/bin/chromium"),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag(
			"disable-features",
			strings.Join(append(without, "Translate"), ","),
		),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(1000, 900),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &Browser{T: t, Ctx: ctx, policies: map[string]string{}}
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

func (b *Browser) heard(ev any) {
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

// Requests returns the addresses that pages requested.
func (b *Browser) Requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}

// Policies returns the pages' policies by address.
func (b *Browser) Policies() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.policies)
}

// OnlyOwnOrigin fails the test if a page requested anything of another origin, or came without a
// policy.
func (b *Browser) OnlyOwnOrigin(origin string) {
	b.T.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == 0 || len(b.policies) == 0 {
		b.T.Error("no request was recorded")
	}
	for _, r := range b.requests {
		u, err := url.Parse(r)
		if err == nil && u.Scheme == "data" {
			continue // nobody is asked: Chromium draws its own date picker with it
		}
		if err != nil || (u.Scheme+"://"+u.Host != origin && r != "about:blank") {
			b.T.Errorf("a page asked for %s", r)
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
			b.T.Errorf("%s has the policy %q", address, policy)
		}
	}
}

// Run runs steps within a test's time limit.
func (b *Browser) Run(steps ...chromedp.Action[chromedp.Void]) {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, await.Patience)
	defer cancel()
	for i, s := range steps {
		b.arrived()
		err := chromedp.Do(ctx, s)
		for lostSight(err) {
			err = chromedp.Do(ctx, s)
		}
		if err != nil {
			b.T.Fatalf("step %d: %v\n%s", i, err, b.html())
		}
	}
}

// lostSight reports whether a step found its element and lost it before it acted: when a page has
// arrived, the browser assigns new ids to all elements, including visible ones.
func lostSight(err error) bool {
	var said *cdproto.Error
	return errors.As(err, &said) && slices.Contains([]string{
		"Could not find node with given id", "No node with given id found", "Node with given id does not belong to the document",
	}, said.Message)
}

// arrived waits until the page is complete and its scripts have started.
func (b *Browser) arrived() {
	b.T.Helper()
	b.Shows("all of the page has come", "true")
}

// Shows waits until an expression is true in a page that has arrived. A page that is being left
// may have no heading, or no document: it tries again.
func (b *Browser) Shows(what, expression string) {
	b.T.Helper()
	var last error
	defer func() {
		if b.T.Failed() && last != nil {
			b.T.Log(last)
		}
	}()
	await.Until(b.T, what, func() bool {
		ctx, cancel := context.WithTimeout(b.Ctx, await.Patience)
		defer cancel()
		so, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.readyState === "complete" && !!(`+expression+`)`))
		last = err
		return err == nil && so
	})
}

// Reads waits until the element has the words.
func (b *Browser) Reads(selector, words string) {
	b.T.Helper()
	b.Shows("the browser shows "+words, `document.querySelector(`+Quoted(selector)+`).innerText.includes(`+Quoted(words)+`)`)
}

// Quoted is a text as a script writes it.
func Quoted(s string) string {
	raw, _ := json.Marshal(s) // a text can always be written
	return string(raw)
}

// Ask evaluates an expression; it also works on pages that forbid scripts.
func Ask[T any](b *Browser, expression string) T {
	b.T.Helper()
	return AskWithin[T](b, await.Patience, expression)
}

// AskWithin is Ask with a limit of its own.
func AskWithin[T any](b *Browser, limit time.Duration, expression string) T {
	b.T.Helper()
	b.arrived()
	ctx, cancel := context.WithTimeout(b.Ctx, limit)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.T.Fatalf("%.200s: %v", expression, err)
	}
	return v
}

func (b *Browser) html() string {
	ctx, cancel := context.WithTimeout(b.Ctx, await.Patience)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("html")))
	if err != nil {
		return err.Error()
	}
	return s
}

// Open goes to an address.
func (b *Browser) Open(u string) {
	b.T.Helper()
	b.Run(chromedp.Navigate(u))
}

// Back presses the back button. A restored page fires no load event, so it waits until the
// browser reports a page, and returns whether that one was restored.
func (b *Browser) Back() (kept bool) {
	b.T.Helper()
	history, err := chromedp.Call(b.Ctx, page.GetNavigationHistory, cdp.Empty{})
	if err != nil {
		b.T.Fatal(err)
	}
	entry := history.Entries[history.CurrentIndex-1]
	b.mu.Lock()
	before := len(b.arrivals)
	b.mu.Unlock()
	if _, err := chromedp.Call(b.Ctx, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: entry.ID}); err != nil {
		b.T.Fatal(err)
	}
	await.Until(b.T, "the back button shows "+entry.URL, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, a := range b.arrivals[before:] { // the previous page may still be reported
			if a.url == entry.URL {
				kept = a.kept
				return true
			}
		}
		return false
	})
	return kept
}

// FetchedBecause waits until the browser reports that it had not kept a page, for this reason.
func (b *Browser) FetchedBecause(reason page.BackForwardCacheNotRestoredReason) {
	b.T.Helper()
	await.Until(b.T, "the browser says "+reason.String(), func() bool { return slices.Contains(b.NotKept(), reason) })
}

// NotKept returns the reasons why pages were not restored.
func (b *Browser) NotKept() []page.BackForwardCacheNotRestoredReason {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.refetch)
}

// Press clicks at an element's position on the screen. Unlike Click it works in a restored page,
// whose elements the debugger has lost.
func (b *Browser) Press(selector string) {
	b.T.Helper()
	at := Ask[[]float64](
		b,
		`(() => { const e = document.querySelector(`+Quoted(selector)+`); e.scrollIntoView({block: "center", behavior: "instant"});
  const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`,
	)
	b.Run(chromedp.MouseClickXY(at[0], at[1]))
}

// Sees waits until the page's heading has the words.
func (b *Browser) Sees(heading string) {
	b.T.Helper()
	b.Reads("h1", heading)
}

// Text waits until the page's main part has the words.
func (b *Browser) Text(words string) {
	b.T.Helper()
	b.Reads("main", words)
}

// SignIn opens the dashboard of a server as a user whose password is Password.
func (b *Browser) SignIn(url, login string) {
	b.T.Helper()
	b.Open(url + "/dashboard/sign-in?lang=en")
	b.Run(
		chromedp.SendKeys(CSS("#login"), login),
		chromedp.SendKeys(CSS("#password"), Password),
		chromedp.Click(CSS("main button[type=submit]")),
	)
	b.InDashboard()
}

// InDashboard waits until a page of the dashboard has arrived for a signed-in user.
func (b *Browser) InDashboard() {
	b.T.Helper()
	b.Shows("the dashboard opens", `document.querySelector(".side") !== null`)
}

// Tab opens another tab of the same browser.
func (b *Browser) Tab() *Browser {
	b.T.Helper()
	ctx, cancel := chromedp.NewContext(b.Ctx)
	b.T.Cleanup(cancel)
	other := b.Within(ctx)
	if err := chromedp.Do(ctx); err != nil {
		b.T.Fatal(err)
	}
	if err := chromedp.Listen(ctx, other.heard); err != nil {
		b.T.Fatal(err)
	}
	return other
}

// Write types into a field, in place of what is there.
func (b *Browser) Write(selector, words string) {
	b.T.Helper()
	b.Run(chromedp.WaitVisible(CSS(selector)), chromedp.Clear(CSS(selector)), chromedp.SendKeys(CSS(selector), words))
}

// Within returns the browser in another of its targets: a tab or a frame.
func (b *Browser) Within(ctx context.Context) *Browser {
	return &Browser{T: b.T, Ctx: ctx, policies: map[string]string{}}
}

// CSS is an element by its selector.
func CSS(s string) chromedp.CSS { return chromedp.CSS(s) }

// Fill types a card into the form, key by key.
func (b *Browser) Fill(number string) {
	b.T.Helper()
	b.Run(chromedp.WaitVisible(CSS("#number")),
		chromedp.Clear(CSS("#number")), chromedp.SendKeys(CSS("#number"), number),
		chromedp.Clear(CSS("#exp")), chromedp.SendKeys(CSS("#exp"), "1234"),
		chromedp.Clear(CSS("#cvc")), chromedp.SendKeys(CSS("#cvc"), "7391"))
}

// WaitErrors waits for the list of the form's errors.
var WaitErrors = chromedp.WaitVisible(CSS("#errors"))

// PayButton is the selector of the button that pays.
const PayButton = "#pay button[type=submit]"

// Pay types a card into the form and presses the button.
func (b *Browser) Pay(number string) {
	b.T.Helper()
	b.Fill(number)
	b.Run(chromedp.Click(CSS(PayButton)))
}

// Click clicks an element once it can be seen.
func (b *Browser) Click(selector string) {
	b.T.Helper()
	b.Run(chromedp.Click(CSS(selector)))
}

// Scripts turns the pages' scripts on or off.
func (b *Browser) Scripts(on bool) {
	b.T.Helper()
	if _, err := chromedp.Call(b.Ctx, emulation.SetScriptExecutionDisabled,
		emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		b.T.Fatal(err)
	}
}

// maxPictureHeight is in pixels. Chromium makes no picture of a much longer page, so of such a
// page only the visible part is taken.
const maxPictureHeight = 12_000

// Picture writes a picture of the page into the folder PAYLINK_SCREENSHOTS, if set.
func (b *Browser) Picture(name string) {
	b.T.Helper()
	dir := os.Getenv("PAYLINK_SCREENSHOTS")
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		b.T.Fatal(err)
	}
	shot := chromedp.FullScreenshot(100)
	if Ask[float64](b, `document.documentElement.scrollHeight`) > maxPictureHeight {
		shot = chromedp.CaptureScreenshot()
	}
	png, err := chromedp.Run(b.Ctx, shot)
	if err != nil {
		b.T.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.T.Fatal(err)
	}
}
