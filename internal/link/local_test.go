package link

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/stream"
)

// shelf is a Store of links in memory. Forms are tested on the real stores.
type shelf struct {
	FormStore
	mu      sync.Mutex
	links   map[string]Link
	events  []stream.Event
	records map[string]idempotency.Record
	reads   int
}

func (s *shelf) record(r *idempotency.Record) error {
	if r == nil {
		return nil
	}
	if _, ok := s.records[r.Scope+"\x00"+r.Key]; ok {
		return idempotency.ErrRaced
	}
	s.records[r.Scope+"\x00"+r.Key] = *r
	return nil
}

func (s *shelf) CreateLink(_ context.Context, l Link, e []stream.Event, r *idempotency.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.record(r); err != nil {
		return err
	}
	s.links[l.ID] = l
	s.events = append(s.events, e...)
	return nil
}

func (s *shelf) GetLink(_ context.Context, account, id string) (Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	l, ok := s.links[id]
	if !ok || l.Account != account {
		return Link{}, fault.NotFound("link")
	}
	return l, nil
}

func (s *shelf) ListLinks(_ context.Context, f Filter) ([]Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Link
	for _, k := range slices.Backward(slices.Sorted(maps.Keys(s.links))) {
		l := s.links[k]
		if l.Account == f.Account && l.Mode == f.Mode && (f.Status == "" || l.Status(f.Now) == f.Status) &&
			(f.Before == "" || k < f.Before) && len(out) < f.Limit {
			out = append(out, l)
		}
	}
	return out, nil
}

func (s *shelf) CancelLink(_ context.Context, _, id string, at time.Time, e stream.Event, r *idempotency.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.links[id]
	if st := l.Status(at); st != Open {
		return Unpayable(l, st)
	}
	if err := s.record(r); err != nil {
		return err
	}
	l.CanceledAt = at
	s.links[id] = l
	s.events = append(s.events, e)
	return nil
}

func (s *shelf) ExpireLinks(_ context.Context, now time.Time, limit int, event func(Link) (stream.Event, error)) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for k, l := range s.links {
		if st := l.Status(now); n == limit || now.Before(l.ExpiresAt) || !l.ExpiredAt.IsZero() || st == Paid || st == Canceled {
			continue
		}
		e, err := event(l)
		if err != nil {
			return n, err
		}
		l.ExpiredAt = now
		s.links[k], s.events, n = l, append(s.events, e), n+1
	}
	return n, nil
}

var account = id.New(id.Account)

var methods = []Method{
	{ID: id.New(id.Method), Type: "card", Issuer: "simulator", Currencies: []money.Currency{"EUR", "JPY", "KWD"}, Enabled: true,
		MinMinor: 50, MaxMinor: 99_999_999, Test: true},
	{ID: id.New(id.Method), Type: "card", Issuer: "simulator", Currencies: []money.Currency{"USD"}, Enabled: true, Test: true},
	{ID: id.New(id.Method), Type: "card", Issuer: "acme", Currencies: []money.Currency{"EUR"}, Enabled: false, Test: false},
}

type bench struct {
	*Local
	store *shelf
	now   time.Time
}

func newBench() *bench {
	b := &bench{store: &shelf{links: map[string]Link{}, records: map[string]idempotency.Record{}}, now: t0}
	b.Local = NewLocal(LocalConfig{Ring: keyring.NewMemory(t0), Store: b.store, PublicURL: "https://pay.example/",
		Now: func() time.Time { return b.now }})
	return b
}

func request(edit func(*CreateRequest)) CreateRequest {
	r := CreateRequest{Account: account, Mode: Test, Payee: "Shop", Methods: methods, Amount: "12.50", Currency: "EUR"}
	if edit != nil {
		edit(&r)
	}
	return r
}

func (b *bench) create(t *testing.T, edit func(*CreateRequest)) Link {
	t.Helper()
	l, err := b.Create(t.Context(), request(edit))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func ptr(n int64) *int64 { return &n }

func TestCreateDefaults(t *testing.T) {
	b := newBench()
	l := b.create(t, nil)
	if l.Amount != money.Of(1250, "EUR") || l.MaxUses != 1 || l.Capture != CaptureAutomatic || l.LatePolicy != LateAccept ||
		!l.ExpiresAt.Equal(t0.Add(DefaultLife)) || l.PaymentMethod != methods[0].ID || l.Issuer != "simulator" || !l.Date.Equal(t0) {
		t.Errorf("%+v", l)
	}
	got, err := b.Open(t.Context(), l.Token)
	if err != nil || got.ID != l.ID {
		t.Errorf("%+v, %v", got, err)
	}
	if url := b.URL(l); url != "https://pay.example/l/"+l.Token {
		t.Error(url)
	}
	e := b.store.events[0]
	if e.Type != "link.created" || e.ObjectSeq != 1 || e.Object != l.ID || !id.Valid(id.Event, e.ID) || e.Account != account ||
		e.Mode != Test {
		t.Errorf("%+v", e)
	}
	l = b.create(t, func(r *CreateRequest) { r.Amount, r.MaxAmount, r.MinAmount = "", "100", "5"; r.MaxUsesNull = true })
	if !l.PayerChooses() || l.MinMinor != 500 || l.MaxMinor != 10000 || l.MaxUses != 0 {
		t.Errorf("%+v", l)
	}
	if l = b.create(t, func(r *CreateRequest) { r.Amount, r.MaxAmount = "", "100" }); l.MinMinor != 50 {
		t.Errorf("the payer may choose %d, less than the method takes", l.MinMinor)
	}
	if l = b.create(t, func(r *CreateRequest) { r.Currency, r.PaymentMethod = "USD", "card" }); l.PaymentMethod != methods[1].ID {
		t.Errorf("USD is paid by %s", l.PaymentMethod)
	}
	b.now = t0.Add(300 * time.Millisecond)
	if l = b.create(t, func(r *CreateRequest) { r.ExpiresInSeconds = ptr(60) }); !l.ExpiresAt.Equal(t0.Add(61 * time.Second)) {
		t.Errorf("ends %v", l.ExpiresAt)
	}
}

func long(n int) string { return strings.Repeat("x", n) }

var createRules = []struct {
	name        string
	edit        func(*CreateRequest)
	param, code string // "" is accepted
	detail      string
}{
	{"no amount", func(r *CreateRequest) { r.Amount = "" }, "amount", "amount_invalid", ""},
	{"a word", func(r *CreateRequest) { r.Amount = "ten" }, "amount", "amount_invalid", ""},
	{"a sign", func(r *CreateRequest) { r.Amount = "-1" }, "amount", "amount_invalid", ""},
	{"an exponent", func(r *CreateRequest) { r.Amount = "1e2" }, "amount", "amount_invalid", ""},
	{
		"decimals of EUR",
		func(r *CreateRequest) { r.Amount = "1.234" },
		"amount",
		"amount_too_many_decimals",
		"An amount in EUR can have at most 2 decimals.",
	},
	{"decimals of JPY", func(r *CreateRequest) { r.Amount, r.Currency = "100.5", "JPY" }, "amount", "amount_too_many_decimals",
		"An amount in JPY can have at most 0 decimals."},
	{"decimals of KWD", func(r *CreateRequest) { r.Amount, r.Currency = "1.234", "KWD" }, "", "", ""},
	{"zero", func(r *CreateRequest) { r.Amount = "0.00" }, "amount", "amount_too_small", ""},
	{"below the method", func(r *CreateRequest) { r.Amount = "0.49" }, "amount", "amount_too_small",
		"The payment method requires at least 0.50 EUR."},
	{"at the method's least", func(r *CreateRequest) { r.Amount = "0.50" }, "", "", ""},
	{"above the method", func(r *CreateRequest) { r.Amount = "1000000.00" }, "amount", "amount_too_large", ""},
	{"above money", func(r *CreateRequest) { r.Amount = "99999999999.00" }, "amount", "amount_too_large", ""},
	{"amount and limits", func(r *CreateRequest) { r.MinAmount, r.MaxAmount = "1", "2" }, "minAmount", "conflicting_fields", ""},
	{"limits crossed", func(r *CreateRequest) { r.Amount, r.MinAmount, r.MaxAmount = "", "3", "2" }, "minAmount", "amount_invalid", ""},
	{"limit too low", func(r *CreateRequest) { r.Amount, r.MinAmount, r.MaxAmount = "", "0.10", "2" }, "minAmount", "amount_too_small", ""},
	{"limit too high", func(r *CreateRequest) { r.Amount, r.MaxAmount = "", "2000000" }, "maxAmount", "amount_too_large", ""},
	{"both limits too low", func(r *CreateRequest) { r.Amount, r.MaxAmount = "", "0.10" }, "maxAmount", "amount_too_small", ""},
	{"currency in lower case", func(r *CreateRequest) { r.Currency = "eur" }, "currency", "currency_invalid", ""},
	{"no currency", func(r *CreateRequest) { r.Currency = "" }, "currency", "currency_invalid", ""},
	{"currency not enabled", func(r *CreateRequest) { r.Currency = "CHF" }, "currency", "currency_not_enabled",
		"CHF is not enabled for the account's payment methods. Enabled: EUR, JPY, KWD, USD."},
	{"unknown type", func(r *CreateRequest) { r.PaymentMethod = "wallet" }, "paymentMethod", "payment_method_unknown", ""},
	{"unknown method", func(r *CreateRequest) { r.PaymentMethod = id.New(id.Method) }, "paymentMethod", "payment_method_unknown", ""},
	{"a method by id", func(r *CreateRequest) { r.PaymentMethod = methods[0].ID }, "", "", ""},
	{"a method without the currency", func(r *CreateRequest) { r.PaymentMethod = methods[1].ID }, "currency", "currency_not_enabled",
		"EUR is not enabled for the account's payment methods. Enabled: USD."},
	{"a disabled method", func(r *CreateRequest) { r.PaymentMethod = methods[2].ID }, "paymentMethod", "payment_method_unavailable", ""},
	{"no methods", func(r *CreateRequest) { r.Methods = nil }, "paymentMethod", "payment_method_unavailable", ""},
	{"live on the simulator", func(r *CreateRequest) { r.Mode = Live }, "paymentMethod", "live_mode_unavailable", ""},
	{"no such mode", func(r *CreateRequest) { r.Mode = "demo" }, "mode", "value_invalid", "mode must be one of: test, live."},
	{"a day", func(r *CreateRequest) { r.Date = "2026-02-03" }, "", "", ""},
	{"a moment", func(r *CreateRequest) { r.Date = "2026-02-03T04:05:06+02:00" }, "", "", ""},
	{"no date", func(r *CreateRequest) { r.Date = "3 Feb" }, "date", "date_invalid", ""},
	{"no day of the calendar", func(r *CreateRequest) { r.Date = "2026-02-30" }, "date", "date_invalid", ""},
	{"expiry twice", func(r *CreateRequest) { r.ExpiresAt, r.ExpiresInSeconds = FormatTime(t0), ptr(60) }, "expiresAt",
		"conflicting_fields", ""},
	{"expiry not a time", func(r *CreateRequest) { r.ExpiresAt = "tomorrow" }, "expiresAt", "expiry_invalid", ""},
	{"expiry past", func(r *CreateRequest) { r.ExpiresAt = FormatTime(t0.Add(-time.Hour)) }, "expiresAt", "expiry_invalid", ""},
	{"59 s", func(r *CreateRequest) { r.ExpiresInSeconds = ptr(59) }, "expiresInSeconds", "expiry_invalid", ""},
	{"60 s", func(r *CreateRequest) { r.ExpiresInSeconds = ptr(60) }, "", "", ""},
	{"180 days", func(r *CreateRequest) { r.ExpiresInSeconds = ptr(180 * 86400) }, "", "", ""},
	{"180 days and 1 s", func(r *CreateRequest) { r.ExpiresInSeconds = ptr(180*86400 + 1) }, "expiresInSeconds", "expiry_invalid", ""},
	{"seconds that overflow", func(r *CreateRequest) { r.ExpiresInSeconds = ptr(1 << 62) }, "expiresInSeconds", "expiry_invalid", ""},
	{"negative seconds", func(r *CreateRequest) { r.ExpiresInSeconds = ptr(-1 << 63) }, "expiresInSeconds", "expiry_invalid", ""},
	{"no use", func(r *CreateRequest) { r.MaxUses = ptr(0) }, "maxUses", "max_uses_invalid", ""},
	{"too many uses", func(r *CreateRequest) { r.MaxUses = ptr(MaxUsesLimit + 1) }, "maxUses", "max_uses_invalid", ""},
	{"uses twice", func(r *CreateRequest) { r.MaxUses, r.MaxUsesNull = ptr(1), true }, "maxUses", "conflicting_fields", ""},
	{"long realm", func(r *CreateRequest) { r.Realm = long(65) }, "realm", "too_long", ""},
	{"realm in umlauts", func(r *CreateRequest) { r.Realm = "Läden" }, "", "", ""},
	{"realm with a break", func(r *CreateRequest) { r.Realm = "a\nb" }, "realm", "invalid_characters", ""},
	{"realm not UTF-8", func(r *CreateRequest) { r.Realm = "a\xff" }, "realm", "invalid_characters", ""},
	{"realm with a card", func(r *CreateRequest) { r.Realm = "4111 1111 1111 1111" }, "realm", "card_number_in_text", ""},
	{"description with a card", func(r *CreateRequest) { r.Description = "ref\n4111 1111 1111 1111" }, "description", "card_number_in_text", ""},
	{"reference with a card", func(r *CreateRequest) { r.Reference = "4111-1111-1111-1111" }, "reference", "card_number_in_text", ""},
	{"metadata with a card", func(r *CreateRequest) { r.Metadata = map[string]string{"k": "4111111111111111"} },
		"metadata.k", "card_number_in_text", ""},
	{"metadata with a card as key", func(r *CreateRequest) { r.Metadata = map[string]string{"4111111111111111": "v"} },
		"metadata", "card_number_in_text", ""},
	{"redirect with a card", func(r *CreateRequest) { r.RedirectURL = "https://shop.example/?c=%34111111111111111" },
		"redirectUrl", "card_number_in_text", ""},
	{"a card as method", func(r *CreateRequest) { r.PaymentMethod = "4111111111111111" }, "paymentMethod", "card_number_in_text", ""},
	{"description of 500", func(r *CreateRequest) { r.Description = strings.Repeat("ü", 499) + "\n" }, "", "", ""},
	{"description of 501", func(r *CreateRequest) { r.Description = long(501) }, "description", "too_long", ""},
	{"description reversed", func(r *CreateRequest) { r.Description = "pay \u202e5.00" }, "description", "invalid_characters", ""},
	{"reference of 201", func(r *CreateRequest) { r.Reference = long(201) }, "reference", "too_long", ""},
	{"reference with NUL", func(r *CreateRequest) { r.Reference = "\x00" }, "reference", "invalid_characters", ""},
	{"metadata", func(r *CreateRequest) { r.Metadata = map[string]string{"k": long(500)} }, "", "", ""},
	{"metadata of 500 characters", func(r *CreateRequest) {
		r.Metadata = map[string]string{strings.Repeat("鍵", 64): strings.Repeat("😀", 500)}
	}, "", "", ""},
	{"metadata of 501 characters", func(r *CreateRequest) { r.Metadata = map[string]string{"k": strings.Repeat("😀", 501)} },
		"metadata.k", "metadata_invalid", ""},
	{"metadata with a key of 65 characters", func(r *CreateRequest) { r.Metadata = map[string]string{strings.Repeat("鍵", 65): ""} },
		"metadata", "metadata_invalid", ""},
	{"metadata of 32 KiB", func(r *CreateRequest) { r.Metadata = metadataOf(MaxMetadataBytes) }, "", "", ""},
	{"metadata of 32 KiB and a byte", func(r *CreateRequest) { r.Metadata = metadataOf(MaxMetadataBytes + 1) }, "metadata",
		"metadata_too_large",
		"metadata must be at most 32768 bytes in total, keys and values in UTF-8; this is 32769. Keep the rest in your own system under the link's reference."},
	{"long metadata", func(r *CreateRequest) { r.Metadata = map[string]string{"k": long(501)} }, "metadata.k", "metadata_invalid", ""},
	{"metadata without a key", func(r *CreateRequest) { r.Metadata = map[string]string{"": "v"} }, "metadata", "metadata_invalid", ""},
	{"51 entries", func(r *CreateRequest) {
		r.Metadata = map[string]string{}
		for i := range 51 {
			r.Metadata[long(i+1)] = ""
		}
	}, "metadata", "metadata_invalid", ""},
	{"redirect", func(r *CreateRequest) { r.RedirectURL = "https://shop.example/thanks?x=1#top" }, "", "", ""},
	{"redirect to the own machine", func(r *CreateRequest) { r.RedirectURL = "http://[::1]:3000/" }, "", "", ""},
	{"redirect to a host in another script", func(r *CreateRequest) { r.RedirectURL = "https://bücher.example/" }, "", "", ""},
	{"redirect to port 0", func(r *CreateRequest) { r.RedirectURL = "https://shop.example:0/" }, "redirectUrl", "url_invalid",
		"The port of redirectUrl must be 1 to 65535."},
	{"redirect to port 99999", func(r *CreateRequest) { r.RedirectURL = "https://shop.example:99999/" }, "redirectUrl", "url_invalid",
		"The port of redirectUrl must be 1 to 65535."},
	{"redirect to an empty label", func(r *CreateRequest) { r.RedirectURL = "https://a..b/" }, "redirectUrl", "url_invalid",
		"The host of redirectUrl must be a host name or an IP address, such as shop.example."},
	{"redirect to a dot at the end", func(r *CreateRequest) { r.RedirectURL = "https://shop.example./" }, "redirectUrl", "url_invalid", ""},
	{"redirect that grows in ASCII", func(r *CreateRequest) {
		r.RedirectURL = "https://bücher.example/" + long(2048-len("https://bücher.example/"))
	}, "redirectUrl", "too_long", ""},
	{"redirect without TLS", func(r *CreateRequest) { r.RedirectURL = "http://shop.example/" }, "redirectUrl", "url_invalid", ""},
	{"redirect to a script", func(r *CreateRequest) { r.RedirectURL = "javascript:alert(1)" }, "redirectUrl", "url_invalid", ""},
	{"redirect with a password", func(r *CreateRequest) { r.RedirectURL = "https://a:b@shop.example/" }, "redirectUrl", "url_invalid", ""},
	{"relative redirect", func(r *CreateRequest) { r.RedirectURL = "/thanks" }, "redirectUrl", "url_invalid", ""},
	{"lookalike of loopback", func(r *CreateRequest) { r.RedirectURL = "http://localhost.evil.example/" }, "redirectUrl", "url_invalid", ""},
	{"long redirect", func(r *CreateRequest) { r.RedirectURL = "https://a/" + long(2048) }, "redirectUrl", "too_long", ""},
	{"capture", func(r *CreateRequest) { r.Capture = "later" }, "capture", "value_invalid", "capture must be one of: automatic, manual."},
	{
		"late policy",
		func(r *CreateRequest) { r.LatePolicy = "keep" },
		"latePolicy",
		"value_invalid",
		"latePolicy must be one of: accept, hold, refund.",
	},
}

// metadataOf returns metadata of so many bytes.
func metadataOf(bytes int) map[string]string {
	m := map[string]string{}
	for i := 0; bytes > 0; i++ {
		key := string(rune('A'+i/26)) + string(rune('A'+i%26))
		n := min(bytes-len(key), 4*MaxMetadataValueChars)
		m[key] = strings.Repeat("😀", n/4) + strings.Repeat("x", n%4)
		bytes -= len(key) + n
	}
	return m
}

// TestMetadataFits: every entry in ASCII fits the bound of the sum, so nothing is refused that
// was accepted before the bound existed.
func TestMetadataFits(t *testing.T) {
	if all := MaxMetadata * (MaxMetadataKeyChars + MaxMetadataValueChars); all > MaxMetadataBytes {
		t.Errorf("%d bytes of metadata were lawful, and %d are", all, MaxMetadataBytes)
	}
}

func TestRedirectIsKeptInASCII(t *testing.T) {
	b := newBench()
	l := b.create(t, func(r *CreateRequest) { r.RedirectURL = "HTTPS://Bücher.example:08443/Danke?ü=%C3%BC#ende" })
	if want := "https://xn--bcher-kva.example:8443/Danke?ü=%C3%BC#ende"; l.RedirectURL != want {
		t.Errorf("%q, want %q", l.RedirectURL, want)
	}
}

func TestCreateRules(t *testing.T) {
	for _, c := range createRules {
		t.Run(c.name, func(t *testing.T) {
			_, err := newBench().Create(t.Context(), request(c.edit))
			if c.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			f := fault.From(err)
			if err == nil || f.Kind != fault.KindInvalid || f.Param != c.param || f.Code != c.code || (c.detail != "" && f.Detail != c.detail) {
				t.Errorf("%v, want %s: %s %s", err, c.param, c.code, c.detail)
			}
		})
	}
}

func TestObject(t *testing.T) {
	b := newBench()
	l := b.create(t, func(r *CreateRequest) { r.Realm, r.Metadata = "north", map[string]string{"a": "<b>&"} })
	l.ID, l.Token, l.PaymentMethod = "lnk_x", "T", "pm_x"
	raw, err := json.Marshal(Object(l, b.URL(l), t0))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"lnk_x","object":"link","url":"https://pay.example/l/T","status":"open","amount":"12.50","currency":"EUR","realm":"north","paymentMethod":"pm_x","description":null,"reference":null,"metadata":{"a":"\u003cb\u003e\u0026"},"maxUses":1,"uses":0,"expiresAt":"2026-03-02T12:00:00.000Z","date":"2026-03-01T12:00:00.000Z","redirectUrl":null,"capture":"automatic","latePolicy":"accept","mode":"test","createdAt":"2026-03-01T12:00:00.000Z","links":{"self":"/api/links/lnk_x","url":"https://pay.example/l/T","qr":"/api/links/lnk_x/qr.svg"}}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	l.Amount.Minor, l.MinMinor, l.MaxMinor, l.MaxUses = 0, 5, 1000, 0
	raw, err = json.Marshal(Object(l, "u", l.ExpiresAt))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"amount":null,"minAmount":"0.05","maxAmount":"10.00"`, `"maxUses":null`,
		`"status":"expired","unpayableReason":"link_expired"`} {
		if !bytes.Contains(raw, []byte(part)) {
			t.Errorf("%s lacks %s", raw, part)
		}
	}
}

func TestGetAndCancel(t *testing.T) {
	b := newBench()
	l := b.create(t, nil)
	for _, c := range [][3]string{{account, Live, l.ID}, {id.New(id.Account), Test, l.ID}, {account, Test, id.New(id.Link)},
		{account, Test, "lnk_1"}} {
		if _, err := b.Get(t.Context(), c[0], c[1], c[2]); fault.KindOf(err) != fault.KindNotFound {
			t.Errorf("%v: %v", c, err)
		}
		if _, err := b.Cancel(t.Context(), c[0], c[1], c[2], nil); fault.KindOf(err) != fault.KindNotFound {
			t.Errorf("cancel %v: %v", c, err)
		}
	}
	got, err := b.Cancel(t.Context(), account, Test, l.ID, nil)
	if err != nil || got.Status(t0) != Canceled {
		t.Fatalf("%+v, %v", got, err)
	}
	e := b.store.events[1]
	if e.Type != "link.canceled" || e.ObjectSeq != 2 || !strings.Contains(string(e.Data), `"status":"canceled"`) {
		t.Errorf("%+v %s", e, e.Data)
	}
	if _, err := b.Cancel(t.Context(), account, Test, l.ID, nil); fault.Code(err) != "link_canceled" ||
		fault.KindOf(err) != fault.KindConflict {
		t.Errorf("again: %v", err)
	}
	for code, edit := range map[string]func(*Link){
		"link_paid":    func(l *Link) { l.Uses, l.PaidAt = 1, t0 },
		"link_paying":  func(l *Link) { l.Reserved = 1 },
		"link_expired": func(l *Link) { l.ExpiresAt = t0 },
	} {
		l := b.create(t, nil)
		edit(&l)
		b.store.links[l.ID] = l
		if _, err := b.Cancel(t.Context(), account, Test, l.ID, nil); fault.Code(err) != code {
			t.Errorf("%v, want %s", err, code)
		}
	}
}

func TestF16_TicketRidesInTheCommit(t *testing.T) {
	b := newBench()
	ticket := &idempotency.Ticket{
		Record: idempotency.Record{Scope: account + "/test", Key: "k", Status: 200},
		Render: func(object any) ([]byte, error) { return []byte(object.(Link).ID), nil },
	}
	l := b.create(t, func(r *CreateRequest) { r.Ticket = ticket })
	if got := b.store.records[account+"/test\x00k"]; string(got.Answer) != l.ID || !got.CreatedAt.Equal(t0) {
		t.Errorf("%+v", got)
	}
	if _, err := b.Create(t.Context(), request(func(r *CreateRequest) { r.Ticket = ticket })); !errors.Is(err, idempotency.ErrRaced) {
		t.Errorf("second: %v", err)
	}
	if len(b.store.links) != 1 {
		t.Errorf("%d links", len(b.store.links))
	}
}

func TestF27_NoReadForAForeignToken(t *testing.T) {
	b := newBench()
	l := b.create(t, nil)
	for _, bad := range []string{"", "x", l.Token[:200], l.Token[:203] + "!", Mint(keyring.NewMemory(t0), someClaims())} {
		if _, err := b.Open(t.Context(), bad); !errors.Is(err, ErrToken) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if b.store.reads != 0 {
		t.Errorf("%d reads for tokens that are not ours", b.store.reads)
	}
	if _, err := b.Open(t.Context(), l.Token); err != nil || b.store.reads != 1 {
		t.Errorf("%v after %d reads", err, b.store.reads)
	}
	// Signed by us, but not in the store, or there in another mode.
	c := someClaims()
	if _, err := b.Open(t.Context(), Mint(b.ring, c)); !errors.Is(err, ErrToken) {
		t.Error(err)
	}
	c = Claims{Link: l.ID, Account: account, ExpiresAt: l.ExpiresAt, Mode: Live}
	if _, err := b.Open(t.Context(), Mint(b.ring, c)); !errors.Is(err, ErrToken) {
		t.Error(err)
	}
}

func TestVerify(t *testing.T) {
	b := newBench()
	l := b.create(t, nil)
	for in, ours := range map[string]bool{
		l.Token: true, b.URL(l): true, " " + b.URL(l) + "\n": true, "HTTPS://PAY.example/l/" + l.Token: true,
		"https://pay.example.evil/l/" + l.Token: false, "https://evil@pay.example/l/" + l.Token: false,
		"http://pay.example/l/" + l.Token: false, "https://pay.example/x/" + l.Token: false,
		"": false, l.Token[1:]: false, "https://pay.example/l/": false,
	} {
		v, err := b.Verify(t.Context(), in)
		if err != nil || v.Ours != ours || (ours && (!v.ExpiresAt.Equal(l.ExpiresAt) || v.Expired || len(v.KeyID) != 8)) ||
			(!ours && v != Verdict{}) {
			t.Errorf("%s: %+v, %v", in, v, err)
		}
	}
	b.now = l.ExpiresAt
	if v, _ := b.Verify(t.Context(), l.Token); !v.Ours || !v.Expired {
		t.Errorf("%+v", v)
	}
	if b.store.reads != 0 {
		t.Errorf("%d reads", b.store.reads)
	}
}

func TestList(t *testing.T) {
	b := newBench()
	var ids []string
	for range 30 {
		ids = append(ids, b.create(t, nil).ID)
	}
	got, err := b.List(t.Context(), Filter{Account: account, Mode: Test})
	if err != nil || len(got) != DefaultPage || got[0].ID != ids[29] {
		t.Errorf("%d links, %v", len(got), err)
	}
	if got, err = b.List(t.Context(), Filter{Account: account, Mode: Test, Before: ids[3], Limit: 1000, Status: Open}); err != nil ||
		len(got) != 3 {
		t.Errorf("%d links, %v", len(got), err)
	}
	for f, param := range map[Filter]string{{Status: "done"}: "status", {Before: "x"}: "cursor"} {
		if _, err := b.List(t.Context(), f); fault.From(err).Param != param {
			t.Error(err)
		}
	}
}

func TestRunExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		for range 450 {
			b.create(t, nil)
		}
		running := b.create(t, nil)
		running.Reserved = 1
		b.store.links[running.ID] = running
		paid := b.create(t, nil)
		paid.Uses = 1
		b.store.links[paid.ID] = paid
		b.store.events = nil
		b.now = t0.Add(DefaultLife)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.RunExpiry(ctx) }()
		<-time.After(3 * time.Second)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(b.store.events) != 451 {
			t.Fatalf("%d events", len(b.store.events))
		}
		for _, e := range b.store.events {
			want := `"status":"expired"`
			if e.Object == running.ID {
				want = `"status":"paying"`
			}
			if e.Type != "link.expired" || e.ObjectSeq != 2 || !strings.Contains(string(e.Data), want) || e.Object == paid.ID {
				t.Fatalf("%+v %s", e, e.Data)
			}
		}
	})
}

func TestPaidEvent(t *testing.T) {
	b := newBench()
	l := b.create(t, func(r *CreateRequest) { r.MaxUses = ptr(3) })
	l.Uses, l.Reserved = 2, 1
	e, err := PaidEvent(l, b.URL(l), t0)
	if err != nil || e.Type != "link.paid" || e.ObjectSeq != 3 || !strings.Contains(string(e.Data), `"maxUses":3,"uses":3`) ||
		!strings.Contains(string(e.Data), `"status":"paid"`) {
		t.Errorf("%+v %s %v", e, e.Data, err)
	}
}
