package pages

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	answers "github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// languageCookie keeps what a reader picked with ?lang=, for languageCookieAge.
const (
	languageCookie    = "paylink-lang"
	languageCookieAge = 365 * 24 * 60 * 60 // seconds
)

// spoken gives a page's request its language: the one that ?lang= names, which is kept in a
// cookie; else the one that was picked before; else the one that the browser asks for.
// Without cookies a pick holds for one page. The JSON beside the pages stays English. The
// handler does not see parameters of the query that contain a card number.
func (p *Pages) spoken(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r, _ = answers.WithoutNumbers(r)
		override := ""
		if picked := pickedLanguage(r); picked != "" {
			override = picked
			http.SetCookie(w, &http.Cookie{ //nolint:gosec // G124: Secure wherever the site is on https; it holds no secret
				Name: languageCookie, Value: picked, Path: p.base + "/", MaxAge: languageCookieAge,
				HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(p.origin, "https://"),
			})
		} else if c, err := r.Cookie(languageCookie); err == nil {
			override = c.Value // one that we do not speak is as good as none
		}

		ctx := i18n.With(r.Context(), i18n.Match(override, r.Header.Get("Accept-Language")))
		ctx = context.WithValue(ctx, menuKey{}, menuPrefix(r))
		h(w, r.WithContext(ctx))
	}
}

// pickedLanguage returns the language that ?lang= names, or "" if it names none of ours.
func pickedLanguage(r *http.Request) string {
	if !strings.Contains(r.URL.RawQuery, "lang=") {
		return ""
	}
	tag := strings.ToLower(r.URL.Query().Get("lang"))
	if i18n.For(tag).Tag() != tag {
		return ""
	}
	return tag
}

// english serves pages for developers, which are in English only and have no menu of
// languages.
func english(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(w, r.WithContext(i18n.With(r.Context(), i18n.For("en"))))
	}
}

// menuKey is the context key of the menu's address. Its absence means that there is no
// menu.
type menuKey struct{}

// menuPrefix returns the address of the same page in another language, without the language
// itself. The rest of the page's query stays.
func menuPrefix(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return "?lang="
	}
	q := r.URL.Query()
	if q.Del("lang"); len(q) == 0 {
		return "?lang="
	}
	return "?" + q.Encode() + "&lang="
}

// menu returns the menu of languages, or nothing on a page that has none. The menu of a
// page without a query, such as the payment page, is rendered only once.
func menu(ctx context.Context) templ.Component {
	prefix, _ := ctx.Value(menuKey{}).(string)
	switch say := i18n.From(ctx); prefix {
	case "":
		return templ.NopComponent
	case "?lang=":
		return templ.Raw(plainMenus()[say.Tag()])
	default:
		return languageMenu(say, prefix)
	}
}

// plainMenus returns the menus of pages without a query, by language. They are rendered at
// the first use.
var plainMenus = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for _, l := range i18n.Languages() {
		var b strings.Builder
		if err := languageMenu(i18n.For(l.Tag), "?lang=").Render(context.Background(), &b); err != nil {
			panic("pages: the menu of languages: " + err.Error()) // a builder takes everything
		}
		all[l.Tag] = b.String()
	}
	return all
})

// nameOf returns the name of the printer's language, in that language.
func nameOf(p *i18n.Printer) string {
	for _, l := range i18n.Languages() {
		if l.Tag == p.Tag() {
			return l.Name
		}
	}
	return p.Tag()
}

// printer returns the printer of the request's language.
func printer(r *http.Request) *i18n.Printer { return i18n.From(r.Context()) }

// formWords translates a fault of the payment form for the payer. Its parameter is that of
// the JSON, which formField maps to a field. empty says that the field was left empty.
func formWords(say *i18n.Printer, e *fault.Error, empty bool, l link.Link, now time.Time) string {
	switch formField(e.Param) {
	case "number":
		if empty {
			return say.T("pay.error.number.missing")
		}
		return say.T("pay.error.number")
	case "cvc":
		if empty {
			return say.T("pay.error.cvc.missing")
		}
		return say.T("pay.error.cvc")
	case "amount":
		return amountWords(say, e, l)
	}

	switch e.Code {
	case "attempt_invalid":
		return say.T("pay.error.attempt")
	case "card_expiry_missing":
		return say.T("pay.error.exp.missing")
	case "card_expiry_invalid":
		if e.Param == "card.expYear" {
			return say.T("pay.error.exp.year", "From", strconv.Itoa(now.Year()), "To", strconv.Itoa(now.Year()+issuer.MaxYearsAhead))
		}
		return say.T("pay.error.exp")
	case "card_expired":
		return say.T("pay.error.expired")
	case "too_long":
		return say.T("pay.error.long")
	case "text_invalid":
		return say.T("pay.error.text")
	case "email_invalid":
		return say.T("pay.error.email")
	case issuer.NumberInText:
		return say.T("pay.error.cardInText")
	}

	return detailOr(say, e, say.T("pay.error.other"))
}

// detailOr returns the fault's own sentence to people who read English, and the general
// words, which are translated, to all others.
func detailOr(say *i18n.Printer, e *fault.Error, words string) string {
	if say.Tag() == "en" && e.Detail != "" {
		return e.Detail
	}
	return words
}

// amountWords says what is wrong with an amount, with the link's own limits.
func amountWords(say *i18n.Printer, e *fault.Error, l link.Link) string {
	c := l.Amount.Currency
	if words := say.AmountFault(e.Cause); words != "" {
		return words
	}

	switch e.Code {
	case "parameter_missing":
		return say.T("pay.error.amount.missing")
	case "amount_too_large":
		most := l.MaxMinor
		if most <= 0 || !l.PayerChooses() {
			most = money.MaxMinor
		}
		return say.T("pay.error.amount.large", "Max", money.Of(most, c))
	case "amount_mismatch":
		return say.T("pay.error.amount.mismatch", "Amount", l.Amount)
	case "amount_too_small":
		if l.MinMinor <= 0 {
			return say.T("pay.error.amount.nothing")
		}
		return say.T("pay.error.amount.small", "Min", money.Of(l.MinMinor, c))
	}

	return detailOr(say, e, say.T("pay.error.other"))
}

// failWords returns title, headline and lead for a person who meets an error. It never
// shows the text of an internal error.
func failWords(say *i18n.Printer, err error) (title, headline, lead string) {
	f := fault.From(err)
	switch f.Kind {
	case fault.KindNotFound:
		// One page, to the byte, for all that is not ours.
		return say.T("pay.missing.title"), say.T("pay.missing"), say.T("pay.missing.lead")
	case fault.KindInternal:
		headline, lead = say.T("pay.broken"), say.T("pay.broken.lead")
	case fault.KindUnavailable, fault.KindRateLimited:
		headline, lead = say.T("pay.busy"), detailOr(say, f, say.T("pay.busy.lead"))
	default:
		headline, lead = say.T("pay.refused"), detailOr(say, f, say.T("pay.refused.lead"))
	}

	return headline, headline, lead
}

// withRequest returns the id of the request, which a page shows under a failure of ours, or
// "" for other errors.
func withRequest(r *http.Request, err error) string {
	switch fault.KindOf(err) {
	case fault.KindInternal, fault.KindUnavailable:
		return problem.RequestID(r.Context())
	default:
		return ""
	}
}
