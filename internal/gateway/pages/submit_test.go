package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

const goodJSON = `{"attempt":"` + attempt + `","card":{"number":"4242424242424242","expMonth":12,"expYear":2030,"cvc":"123","name":"Ada"},"payer":{"name":"Ada","email":"ada@example.com"}}`

// with replaces one piece of the good body.
func with(old, replacement string) string {
	if !strings.Contains(goodJSON, old) {
		panic(old)
	}
	return strings.Replace(goodJSON, old, replacement, 1)
}

func TestJSONPays(t *testing.T) {
	w := newWorld(t)
	l := w.link("open", nil)
	a := w.postJSON("open", goodJSON)
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	self := publicURL + "/l/open/status?attempt=" + attempt
	want := map[string]any{
		"id": payment.IDFor(l.ID, attempt), "object": "payment", "status": "succeeded", "amount": "12.50", "currency": "EUR", "link": l.ID,
		"card": map[string]any{
			"brand": "visa",
			"last4": "4242",
		}, "createdAt": "2026-11-24T12:00:00.000Z", "updatedAt": "2026-11-24T12:00:02.000Z",
		"links": map[string]any{"self": self, "page": publicURL + "/l/open"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if w.card != (paidCard{"4242424242424242", "123", w.card.name, 12, 2030}) || w.last.PayerEmail != "ada@example.com" ||
		w.last.ReturnURL != self ||
		w.last.Amount != l.Amount {
		t.Errorf("submitted %+v", w.last)
	}
	if again := w.postJSON("open", goodJSON); again.body != a.body || w.changes != 1 {
		t.Errorf("F14: the same attempt paid again: %d submissions", w.changes)
	}
}

func TestJSONRefusals(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	w.link("choose", func(l *link.Link) { l.Amount, l.MinMinor, l.MaxMinor = money.Of(0, "EUR"), 500, 5000 })
	amount := func(v string) string { return with(`"payer"`, `"amount":`+v+`,"payer"`) }
	for _, c := range []struct {
		name, token, body string
		status            int
		code, param       string
	}{
		{"no body", "open", "", 400, "json_invalid", ""},
		{"not json", "open", "{", 400, "json_invalid", ""},
		{"two values", "open", goodJSON + "{}", 400, "json_invalid", ""},
		{"bad utf-8", "open", with("Ada", "\xff"), 400, "json_invalid", ""},
		{"array", "open", "[]", 400, "parameter_invalid", ""},
		{"unknown", "open", with(`{"attempt"`, `{"surprise":1,"attempt"`), 400, "parameter_unknown", "surprise"},
		{"unknown inside", "open", with(`"cvc"`, `"pin":"1","cvc"`), 400, "parameter_unknown", "card.pin"},
		{"other case", "open", with(`"attempt"`, `"Attempt"`), 400, "parameter_unknown", "Attempt"},
		{"twice", "open", with(`{"attempt"`, `{"attempt":"x","attempt"`), 400, "parameter_duplicate", "attempt"},
		{"twice inside", "open", with(`"cvc"`, `"number":"1","cvc"`), 400, "parameter_duplicate", "card.number"},
		{"no attempt", "open", with(`"attempt":"`+attempt+`",`, ""), 400, "attempt_invalid", "attempt"},
		{"short attempt", "open", with(attempt, "short-attempt-1"), 400, "attempt_invalid", "attempt"},
		{"long attempt", "open", with(attempt, strings.Repeat("a", 65)), 400, "attempt_invalid", "attempt"},
		{"odd attempt", "open", with(attempt, "attempt 0123456789/a"), 400, "attempt_invalid", "attempt"},
		{"attempt a number", "open", with(`"`+attempt+`"`, "12345678901234567890"), 400, "parameter_invalid", "attempt"},
		{"no card", "open", `{"attempt":"` + attempt + `"}`, 400, "parameter_missing", "card"},
		{"card null", "open", `{"attempt":"` + attempt + `","card":null}`, 400, "parameter_invalid", "card"},
		{"a name null", "open", with(`"name":"Ada","email"`, `"name":null,"email"`), 400, "parameter_invalid", "payer.name"},
		{"amount null where it is fixed", "open", with(`{"attempt"`, `{"amount":null,"attempt"`), 400, "parameter_invalid", "amount"},
		{"card a string", "open", `{"attempt":"` + attempt + `","card":"4242424242424242"}`, 400, "parameter_invalid", "card"},
		{"number a number", "open", with(`"4242424242424242"`, `4242424242424242`), 400, "parameter_invalid", "card.number"},
		{"number mistyped", "open", with("4242424242424242", "4242424242424241"), 400, "card_number_invalid", "card.number"},
		{"number short", "open", with("4242424242424242", "42"), 400, "card_number_invalid", "card.number"},
		{"no number", "open", with(`"number":"4242424242424242",`, ""), 400, "card_number_invalid", "card.number"},
		{"month 13", "open", with(`"expMonth":12`, `"expMonth":13`), 400, "card_expiry_invalid", "card.expMonth"},
		{"month half", "open", with(`"expMonth":12`, `"expMonth":1.5`), 400, "card_expiry_invalid", "card.expMonth"},
		{"month true", "open", with(`"expMonth":12`, `"expMonth":true`), 400, "parameter_invalid", "card.expMonth"},
		{"no month", "open", with(`"expMonth":12,`, ""), 400, "parameter_missing", "card.expMonth"},
		{"year huge", "open", with("2030", "99999999999999999999"), 400, "card_expiry_invalid", "card.expYear"},
		{"year gone", "open", with("2030", "2020"), 400, "card_expired", "card.expYear"},
		{"year object", "open", with("2030", "{}"), 400, "parameter_invalid", "card.expYear"},
		{"cvc short", "open", with(`"123"`, `"1"`), 400, "card_cvc_invalid", "card.cvc"},
		{"cvc a number", "open", with(`"123"`, `123`), 400, "parameter_invalid", "card.cvc"},
		{"name long", "open", with(`"name":"Ada"},`, `"name":"`+strings.Repeat("a", 101)+`"},`), 400, "too_long", "card.name"},
		{"name control", "open", with(`"name":"Ada"},`, `"name":"a\u0000"},`), 400, "text_invalid", "card.name"},
		{"payer name", "open", with(`{"name":"Ada","email"`, `{"name":"a\nb","email"`), 400, "text_invalid", "payer.name"},
		{"payer email", "open", with("ada@example.com", "ada"), 400, "email_invalid", "payer.email"},
		{"payer email display", "open", with("ada@example.com", "Ada <ada@example.com>"), 400, "email_invalid", "payer.email"},
		{"payer email long", "open", with("ada@example.com", strings.Repeat("a", 250)+"@example.com"), 400, "too_long", "payer.email"},
		{"other amount", "open", amount(`"12.51"`), 400, "amount_mismatch", "amount"},
		{"amount missing", "choose", goodJSON, 400, "parameter_missing", "amount"},
		{"amount null", "choose", amount("null"), 400, "parameter_invalid", "amount"},
		{"amount empty", "choose", amount(`""`), 400, "parameter_invalid", "amount"},
		{"amount precise", "choose", amount("12.505"), 400, "amount_too_many_decimals", "amount"},
		{"amount exponent", "choose", amount("1e1"), 400, "amount_invalid", "amount"},
		{"amount negative", "choose", amount("-10"), 400, "amount_invalid", "amount"},
		{"amount nothing", "choose", amount("0"), 400, "amount_too_small", "amount"},
		{"amount below", "choose", amount(`"4.99"`), 400, "amount_too_small", "amount"},
		{"amount above", "choose", amount(`50.01`), 400, "amount_too_large", "amount"},
		{"amount huge", "choose", amount(`99999999999999999999`), 400, "amount_too_large", "amount"},
		{"amount object", "choose", amount(`{}`), 400, "parameter_invalid", "amount"},
		{"forged", "forged", goodJSON, 404, fault.Code(link.ErrToken), ""},
		{"body", "open", `{"attempt":"` + strings.Repeat("a", 64<<10) + `"}`, 413, "body_too_large", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.postJSON(c.token, c.body)
			var p struct{ Type, Title, Detail, Code, Param, RequestID string }
			if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if a.status != c.status || p.Code != c.code || p.Param != c.param || p.Detail == "" || p.RequestID != "req_test" {
				t.Errorf("%d %s, want %d %s %q", a.status, a.body, c.status, c.code, c.param)
			}
			lacks(t, c.name, a.body, "424242424242")
		})
	}
	if w.changes != 0 {
		t.Errorf("%d submissions", w.changes)
	}
	lacks(t, "log", w.logged.String(), "4242")
}

func TestJSONTakesAmountsByTheirDigits(t *testing.T) {
	for i, v := range []string{`"12.5"`, `12.50`, `"12.50"`, `12.5`} {
		w := newWorld(t)
		w.link("choose", func(l *link.Link) { l.Amount = money.Of(0, "EUR") })
		a := w.postJSON("choose", with(`"payer"`, `"amount":`+v+`,"payer"`))
		if a.status != 200 || w.last.Amount != money.Of(1250, "EUR") {
			t.Errorf("%d: %s: %d %v %s", i, v, a.status, w.last.Amount, a.body)
		}
	}
	w := newWorld(t)
	w.link("open", nil)
	if a := w.postJSON("open", with(`"expMonth":12,"expYear":2030`, `"expMonth":"12","expYear":"30","name":"Ada"`)); a.status != 400 {
		t.Errorf("a name twice: %d", a.status)
	}
	if a := w.postJSON("open", with(`"expMonth":12,"expYear":2030`, `"expMonth":"12","expYear":"30"`)); a.status != 200 {
		t.Errorf("expiry as strings: %s", a.body)
	}
}

func TestJSONOutcomes(t *testing.T) {
	for _, c := range []struct {
		name   string
		decide func(payment.Submit) (payment.Payment, error)
		status int
		code   string
		wants  []string
		retry  string
	}{
		{"declined", declined(issuer.CodeInsufficientFunds), 402, "insufficient_funds", []string{`"payment":"pay_`, "enough funds"}, ""},
		{"lost", declined(issuer.CodeLost), 402, "lost_card", []string{"The card was declined"}, ""},
		{"blocked", declined(payment.CodeBlocked), 402, "card_declined", []string{"The card was declined"}, ""},
		{"declined for no reason", declined(""), 402, "card_declined", nil, ""},
		{"paid", failing(fault.New(fault.KindConflict, "link_paid", "This link was paid.")), 409, "link_paid",
			[]string{"This link was paid."}, ""},
		{"limited", failing(&fault.Error{Kind: fault.KindRateLimited, Code: "too_many_attempts", Detail: "Slow down."}), 429,
			"too_many_attempts", nil, "1"},
		{"down", failing(fault.Unavailable("store_busy", 2e9, errInner, "Busy.")), 503, "store_busy", []string{`"retryable":true`}, "2"},
		{"inner", failing(errInner), 500, "internal", []string{"req_test"}, ""},
		{"too slow", failing(context.DeadlineExceeded), 503, "timeout", nil, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.link("open", nil)
			w.decide = c.decide
			a := w.postJSON("open", goodJSON)
			var p struct{ Code string }
			if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != c.status || p.Code != c.code ||
				a.header.Get("Retry-After") != c.retry {
				t.Errorf("%d %s", a.status, a.body)
			}
			contains(t, c.name, a.body, c.wants...)
			lacks(t, c.name, a.body, "10.0.0.7", "issuer words", "4242")
			lacks(t, "log", w.logged.String(), "4242424242424242")
		})
	}
}

func TestOtherContentTypesAndMethods(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	for _, ct := range []string{"", "text/plain", "multipart/form-data; boundary=x", "application/xml", ";"} {
		if a := w.do(http.MethodPost, "/l/open/payments", goodJSON, map[string]string{"Content-Type": ct}); a.status != 415 ||
			!strings.Contains(a.body, "unsupported_media_type") {
			t.Errorf("%q: %d", ct, a.status)
		}
	}
	if a := w.do(http.MethodPost, "/l/open/payments", goodJSON,
		map[string]string{"Content-Type": "application/json; charset=utf-8"}); a.status != 200 {
		t.Errorf("charset: %d", a.status)
	}
}

// TestF15_BrowserGone: a closed tab does not cancel the payment.
func TestF15_BrowserGone(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mux := http.NewServeMux()
	w.pages.payments = alive{w, t}
	w.pages.Register(mux)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/l/open/payments", strings.NewReader(goodJSON))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	mux.ServeHTTP(&recorder{}, r)
	if w.changes != 1 {
		t.Error("the payment was not made")
	}
}

// alive checks that a submission comes with a living, bounded context.
type alive struct {
	*world
	t *testing.T
}

func (a alive) Submit(ctx context.Context, s payment.Submit) (payment.Payment, error) {
	if _, bounded := ctx.Deadline(); ctx.Err() != nil || !bounded {
		a.t.Error("the work hangs on the browser, or on nothing")
	}
	return a.world.Submit(ctx, s)
}

func TestFormPays(t *testing.T) {
	for name, header := range map[string]map[string]string{
		"our page":        nil,
		"with an origin":  {"Origin": publicURL},
		"an old browser":  {"Sec-Fetch-Site": "", "Origin": publicURL},
		"typed address":   {"Sec-Fetch-Site": "none", "Origin": ""},
		"our other name":  {"Origin": "http://example.com"}, // the test request's Host
		"no word of site": {"Sec-Fetch-Site": "", "Origin": ""},
	} {
		w := newWorld(t)
		w.link("open", nil)
		a := w.postForm("open", goodForm(), header)
		if a.status != 303 || a.header.Get("Location") != "/l/open/status?attempt="+attempt {
			t.Errorf("%s: %d %s", name, a.status, a.header.Get("Location"))
		}
		if again := w.postForm("open", goodForm(), header); again.status != 303 || w.changes != 1 {
			t.Errorf("F14: %d submissions", w.changes)
		}
		emptied := goodForm()
		emptied.Set("number", "")
		if back := w.postForm("open", emptied, header); back.status != 303 || w.changes != 1 {
			t.Errorf("F14, back button: %d", back.status)
		}
	}
}

func TestFormFromElsewhereIsRefused(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	for _, header := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site", "Origin": publicURL},
		{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "", "Origin": "https://pay.example.com.evil.example"},
		{"Origin": "https://pay.example.com:444"},
	} {
		if a := w.postForm("open", goodForm(), header); a.status != 403 || w.changes != 0 {
			t.Errorf("%v: %d", header, a.status)
		}
	}
}

// TestFormMistakes: each mistake is shown beside its field and in the summary, the
// first one has the focus, and no card number or code comes back.
func TestFormMistakes(t *testing.T) {
	for _, c := range []struct{ field, value, words string }{
		{"number", "", "Enter the card number."},
		{"number", "4242 4242 4242 4241", "mistyped"},
		{"number", "<b>", "12 to 19 digits"},
		{"exp", "", "Enter the expiry date."},
		{"exp", "13/30", "Write the expiry date as"},
		{"exp", "soon", "Write the expiry date as"},
		{"exp", "01/20", "The card has expired."},
		{"cvc", "", "Enter the security code."},
		{"cvc", "12", "3 or 4 digits"},
		{"name", strings.Repeat("n", 101), "too long"},
		{"email", "ada@", "looks like name@example.com"},
	} {
		w := newWorld(t)
		w.link("open", nil)
		form := goodForm()
		form.Set(c.field, c.value)
		a := w.postForm("open", form, nil)
		if a.status != 400 || w.changes != 0 {
			t.Errorf("%s=%q: %d", c.field, c.value, a.status)
		}
		contains(t, c.field, a.body, c.words, `id="errors"`, `aria-describedby="errors"`, `<a href="#`+c.field+`">`, `id="`+c.field+`-error"`,
			`aria-invalid="true"`, `aria-describedby="`+c.field+"-error", `name="attempt" value="`+attempt+`"`, "<title>Error: ")
		if strings.Count(a.body, " autofocus") != 1 {
			t.Errorf("%s: the first error has no focus", c.field)
		}
		lacks(t, c.field, a.body, "4242 4242 4242 4242\"", "4242 4242 4242 4241", "4242424242424242", `value="123"`, `value="12"`)
		if c.field != "email" {
			contains(t, c.field, a.body, `value="ada@example.com"`)
		}
	}
}

func TestFormAllMistakesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.link("choose", func(l *link.Link) { l.Amount, l.MinMinor = money.Of(0, "EUR"), 500 })
	a := w.postForm("choose", url.Values{"amount": {"1"}, "exp": {"x"}, "email": {"x"}}, nil)
	contains(t, "all", a.body, "#amount", "#number", "#exp", "#cvc", "#email", `value="1"`, "This form was incomplete")
	if a.status != 400 {
		t.Error(a.status)
	}
	good := goodForm()
	good.Set("amount", "12,50")
	if a := w.postForm("choose", good, nil); a.status != 303 || w.last.Amount != money.Of(1250, "EUR") {
		t.Errorf("%d %v", a.status, w.last.Amount)
	}
}

func TestFormOutcomes(t *testing.T) {
	for _, c := range []struct {
		name   string
		link   func(*link.Link)
		decide func(payment.Submit) (payment.Payment, error)
		status int
		words  string
	}{
		{"declined goes to its page", nil, declined(issuer.CodeLost), 303, ""},
		{"F11 expired meanwhile", expired, failing(fault.New(fault.KindConflict, "link_expired", "x")), 409, "This link has expired"},
		{"F13 somebody pays", paying, failing(fault.New(fault.KindConflict, "link_paying", "x")), 409, "A payment is under way"},
		{"paid", paid, failing(fault.New(fault.KindConflict, "link_paid", "x")), 409, "This link has been paid"},
		{"canceled", canceled, failing(fault.New(fault.KindConflict, "link_canceled", "x")), 409, "This link was canceled"},
		{"told before it shows", nil, failing(fault.New(fault.KindConflict, "link_paid", "x")), 409, "This link has been paid"},
		{"another conflict", nil, failing(fault.New(fault.KindConflict, "odd", "In words.")), 409, "In words."},
		{"refused amount", nil, failing(fault.Invalid("amount", "amount_too_small", "Too little.")), 400, "more than nothing"},
		{"down", nil, failing(fault.Unavailable("busy", 0, errInner, "Busy.")), 503, "could not confirm your payment"},
		{"inner", nil, failing(errInner), 500, "req_test"},
		{"limited", nil, failing(fault.New(fault.KindRateLimited, "slow", "Slow down.")), 429, "Slow down."},
	} {
		w := newWorld(t)
		w.link("open", c.link)
		w.decide = c.decide
		a := w.postForm("open", goodForm(), nil)
		if a.status != c.status {
			t.Errorf("%s: %d", c.name, a.status)
		}
		contains(t, c.name, a.body, c.words)
		lacks(t, c.name, a.body, "10.0.0.7", "4242 4242 4242 4242\"", `value="123"`)
	}
	w := newWorld(t)
	w.link("open", nil)
	if a := w.postForm("open", url.Values{"x": {strings.Repeat("a", 64<<10)}}, nil); a.status != 413 {
		t.Errorf("large form: %d", a.status)
	}
	if a := w.do(http.MethodPost, "/l/open/payments", "number=%zz4242",
		map[string]string{"Content-Type": "application/x-www-form-urlencoded"}); a.status != 400 ||
		strings.Contains(a.body, "zz") {
		t.Errorf("broken form: %d", a.status)
	}
	if a := w.postForm("forged", goodForm(), nil); a.status != 404 {
		t.Errorf("forged: %d", a.status)
	}
}

// TestRecordedAttemptIsFollowed: when the answer is lost but the attempt was
// committed, the payer is led to its page instead of a second form.
func TestRecordedAttemptIsFollowed(t *testing.T) {
	w := newWorld(t)
	l := w.link("open", nil)
	w.decide = func(s payment.Submit) (payment.Payment, error) {
		w.pay(l, s.Attempt, payment.Unknown, nil)
		return payment.Payment{}, errInner
	}
	if a := w.postForm("open", goodForm(), nil); a.status != 303 {
		t.Errorf("%d", a.status)
	}
}

func TestExpiryAsPeopleTypeIt(t *testing.T) {
	for s, want := range map[string][2]int{
		"04/28": {4, 28}, "4/28": {4, 28}, "04 / 2028": {4, 2028}, "0428": {4, 28}, "04-28": {4, 28}, "04.28": {4, 28}, " 12 30 ": {12, 30},
		"122030": {12, 2030}, "2028-04": {4, 2028}, "04\u00a0/\u00a028": {4, 28},
	} {
		if m, y, ok := parseExpiry(s); !ok || m != want[0] || y != want[1] {
			t.Errorf("%q: %d %d %v", s, m, y, ok)
		}
	}
	for _, s := range []string{"", "4", "00/28", "13/28", "04/2", "04/028", "a4/28", "04/28/1", "-4/28", strings.Repeat("1", 99)} {
		if _, _, ok := parseExpiry(s); ok {
			t.Errorf("%q was taken", s)
		}
	}
}

// TestF13_TheSecondPayerIsNotified: and is not shown the first one's payment.
func TestF13_TheSecondPayerIsNotified(t *testing.T) {
	w := newWorld(t)
	w.pay(
		w.link("open", paying),
		"another-attempt-0001",
		payment.RequiresAction,
		func(p *payment.Payment) { p.ActionURL = "https://acs.bank.example/x" },
	)
	w.decide = failing(fault.New(fault.KindConflict, "link_paying", "x"))
	a := w.postForm("open", goodForm(), nil)
	if a.status != 409 {
		t.Errorf("%d", a.status)
	}
	contains(t, "second payer", a.body, "A payment is under way", "Only one payment can go through")
	lacks(t, "second payer", a.body, "acs.bank.example", "pay_", "your payment")
}
