package pages

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/receipt"
)

const (
	publicURL = "https://pay.example.com"
	attempt   = "attempt-0123456789_ab"
	goodCard  = "4242 4242 4242 4242"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// paidCard is a card as the payments service received it.
type paidCard struct {
	number, cvc, name string
	month, year       int
}

// world is a small true implementation of what the pages depend on: links by
// token, payments by attempt, and a book of everything that changed.
type world struct {
	mu       sync.Mutex
	links    map[string]link.Link
	payments map[string]payment.Payment // by link id and attempt
	changes  int                        // submissions that were taken
	last     payment.Submit
	card     paidCard                                      // of last
	decide   func(payment.Submit) (payment.Payment, error) // nil approves
	broken   error                                         // every read fails with it
	logged   strings.Builder
	drain    chan struct{}
	pages    *Pages
	ring     *keyring.Ring
	ended    map[string]bool // one-click links that were used
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		ring:     keyring.NewMemory(noon),
		ended:    map[string]bool{},
		links:    map[string]link.Link{},
		payments: map[string]payment.Payment{},
		drain:    make(chan struct{}),
	}
	p, err := New(Config{
		Links: w, Payments: w, Receipts: w.ring, Mails: w, Now: func() time.Time { return noon }, PublicURL: publicURL, Drain: w.drain,
		Log: slog.New(slog.NewTextHandler(&w.logged, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.pages = p
	return w
}

// link adds a link that is open, but for what change does to it.
func (w *world) link(token string, change func(*link.Link)) link.Link {
	l := link.Link{
		ID: "lnk_" + token, Account: "acct_1", Mode: link.Test, Payee: "Blue Door Books", Amount: money.Of(1250, "EUR"),
		Description: "Two second-hand novels", Reference: "INV-2044", MaxUses: 1, ExpiresAt: noon.Add(24 * time.Hour),
		RedirectURL: "https://shop.example.org/done?order=1", Capture: link.CaptureAutomatic, LatePolicy: link.LateAccept, Token: token,
	}
	if change != nil {
		change(&l)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.links[token] = l
	return l
}

// pay puts a payment of the link into the world.
func (w *world) pay(l link.Link, attempt string, status payment.Status, change func(*payment.Payment)) payment.Payment {
	p := payment.Payment{
		ID: payment.IDFor(l.ID, attempt), Link: l.ID, Attempt: attempt, Amount: l.Amount, Status: status, Capture: l.Capture,
		CardBrand: "visa", CardLast4: "4242", CreatedAt: noon, UpdatedAt: noon.Add(2 * time.Second),
	}
	if change != nil {
		change(&p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	p.Revision = w.payments[l.ID+" "+attempt].Revision + 1
	w.payments[l.ID+" "+attempt] = p
	l.LastPayment = attempt
	w.links[l.Token] = l
	return p
}

// subscription of a one-click link: "user-…" and "payer-…" are good ones.
func (w *world) Subscription(_ context.Context, token string) (mail.Subscription, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return mail.Subscription{}, w.broken
	}
	s := mail.Subscription{Ended: w.ended[token]}
	if strings.ContainsAny(token, " .,:;!?)]>\"'/\n\u200b") { // what base64url has not
		token = ""
	}
	switch kind, rest, _ := strings.Cut(token, "-"); kind {
	case "user":
		s.User, s.Kind = "usr_1", mail.Expiring
	case "payer":
		s.Account, s.Address, s.Kind = "acct_1", rest+"@example.com", mail.Link
	default:
		return s, fault.New(fault.KindNotFound, "token_invalid", "This link is invalid or was altered.")
	}
	return s, nil
}

func (w *world) Unsubscribe(ctx context.Context, token string) (mail.Subscription, error) {
	s, err := w.Subscription(ctx, token)
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended[token], s.Ended = true, true
		w.changes++
	}
	return s, err
}

// receipt signs a statement about a payment.
func (w *world) receipt(l link.Link, status payment.Status, change func(*payment.Payment)) string {
	p := w.pay(l, attempt, status, func(p *payment.Payment) {
		p.Mode, p.Reference = l.Mode, l.Reference
		if change != nil {
			change(p)
		}
	})
	s := receipt.Of(p, l)
	s.Issuer = publicURL
	token, err := receipt.Sign(w.ring, s)
	if err != nil {
		panic(err)
	}
	return token
}

func (w *world) Open(_ context.Context, token string) (link.Link, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return link.Link{}, w.broken
	}
	if l, ok := w.links[token]; ok {
		return l, nil
	}
	return link.Link{}, link.ErrToken
}

func (w *world) Verify(_ context.Context, token string) (link.Verdict, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l, ok := w.links[token]
	if !ok {
		return link.Verdict{}, nil
	}
	return link.Verdict{Ours: true, ExpiresAt: l.ExpiresAt, Expired: !noon.Before(l.ExpiresAt), KeyID: "1f2e3d4c"}, nil
}

func (w *world) Submit(_ context.Context, s payment.Submit) (payment.Payment, error) {
	w.mu.Lock()
	if p, ok := w.payments[s.Link.ID+" "+s.Attempt]; ok {
		w.mu.Unlock()
		return p, nil
	}
	w.changes++
	w.last, w.card = s, paidCard{}
	_ = s.Card.Reveal(func(c issuer.Secret) error {
		w.card = paidCard{string(c.Number), string(c.CVC), c.Name, c.ExpMonth, c.ExpYear}
		return nil
	})
	decide := w.decide
	w.mu.Unlock()
	if decide != nil {
		return decide(s)
	}
	return w.pay(s.Link, s.Attempt, payment.Succeeded, func(p *payment.Payment) { p.Amount = s.Amount }), nil
}

func (w *world) ByAttempt(_ context.Context, l link.Link, attempt string) (payment.Payment, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.payments[l.ID+" "+attempt]
	return p, ok, w.broken
}

func (w *world) Latest(ctx context.Context, l link.Link) (payment.Payment, bool, error) {
	return w.ByAttempt(ctx, l, l.LastPayment)
}

type response struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(method, target, body string, header map[string]string) response {
	mux := http.NewServeMux()
	w.pages.Register(mux)
	mux.Handle("/", w.pages.NotFound())
	r := httptest.NewRequestWithContext(problem.WithRequestID(context.Background(), "req_test"), method, target, strings.NewReader(body))
	for k, v := range header {
		r.Header.Set(k, v)
	}
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, r)
	res := rec.Result()
	b, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return response{res.StatusCode, res.Header, string(b)}
}

func (w *world) get(target string) response {
	return w.do(http.MethodGet, target, "", map[string]string{"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
}

func (w *world) postJSON(token, body string) response {
	return w.do(http.MethodPost, "/l/"+token+"/payments", body, map[string]string{"Content-Type": "application/json"})
}

func (w *world) postForm(token string, form url.Values, header map[string]string) response {
	h := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin", "Origin": "null"}
	for k, v := range header {
		h[k] = v
	}
	return w.do(http.MethodPost, "/l/"+token+"/payments", form.Encode(), h)
}

func goodForm() url.Values {
	return url.Values{
		"attempt": {attempt},
		"number":  {goodCard},
		"exp":     {"12 / 30"},
		"cvc":     {"123"},
		"name":    {"Ada Payer"},
		"email":   {"ada@example.com"},
	}
}

func declined(code string) func(payment.Submit) (payment.Payment, error) {
	return func(s payment.Submit) (payment.Payment, error) {
		return payment.Payment{
			ID:             payment.IDFor(s.Link.ID, s.Attempt),
			Status:         payment.Declined,
			DeclineCode:    code,
			DeclineMessage: "issuer words",
			Amount:         s.Amount,
		}, nil
	}
}

func failing(err error) func(payment.Submit) (payment.Payment, error) {
	return func(payment.Submit) (payment.Payment, error) { return payment.Payment{}, err }
}

var errInner = errors.New("dial tcp 10.0.0.7:5432: refused")

func contains(t *testing.T, what, body string, wants ...string) {
	t.Helper()
	for _, s := range wants {
		if !strings.Contains(body, s) {
			t.Errorf("%s: %q is missing", what, s)
		}
	}
}

func lacks(t *testing.T, what, body string, wants ...string) {
	t.Helper()
	for _, s := range wants {
		if strings.Contains(body, s) {
			t.Errorf("%s: %q must not be there", what, s)
		}
	}
}
