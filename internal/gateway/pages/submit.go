package pages

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/connection"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// submit takes a payment: a post of our own form, answered with a redirect to the status
// page, or JSON, answered with JSON.
//
// The work does not depend on the browser: from here on it runs on a context that a closed
// tab does not cancel, and that ends after submitTimeout. If the process crashes, the sweep
// finishes the payment and the status page shows the outcome.
func (p *Pages) submit(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), submitTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && media == "application/json":
		p.submitJSON(w, r)
	case err == nil && media == "application/x-www-form-urlencoded":
		p.submitForm(w, r)
	default:
		p.fail(
			w,
			r,
			fault.New(
				fault.KindUnsupported,
				"unsupported_media_type",
				"Unsupported media type: send application/json or application/x-www-form-urlencoded.",
			),
		)
	}
}

// body reads the request's body, up to maxBodyBytes. A longer one is body_too_large, one
// that breaks off is body_unreadable. The body may have a card: it is in one buffer, which the
// caller clears, and no longer in the server's.
func body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	size := int64(maxBodyBytes)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	b := make([]byte, 0, min(size, connection.MaxRead)+1) // with space for the end
	in := http.MaxBytesReader(w, r.Body, maxBodyBytes)
	for {
		if len(b) == cap(b) {
			grown := append(make([]byte, 0, min(2*int64(cap(b)), size+1)), b...)
			clear(b)
			b = grown
		}
		n, err := in.Read(b[len(b):min(cap(b), len(b)+connection.MaxRead)])
		connection.Wipe(r.Context(), b[len(b):len(b)+n])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err == nil {
			continue
		}
		clear(b)
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, fault.New(fault.KindTooLarge, "body_too_large", "The body must be at most %d bytes.", maxBodyBytes)
		}
		return nil, fault.New(fault.KindInvalid, "body_unreadable", "The request body is incomplete.")
	}
}

// ownForm returns cross_site_post for a form that another site posts in the payer's
// browser. Browsers report where a request comes from (Fetch Metadata); older ones send
// Origin. Ours is "null" under no-referrer, so "null" proves nothing and is accepted.
func (p *Pages) ownForm(r *http.Request) error {
	refused := fault.New(
		fault.KindForbidden,
		"cross_site_post",
		"This form was submitted from another site. Open the payment link and pay there.",
	)
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return refused
	}

	o := r.Header.Get("Origin")
	if o == "" || o == "null" || strings.EqualFold(o, p.origin) {
		return nil
	}
	if u, err := url.Parse(o); err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
		return nil // requested under another of our names, such as localhost
	}

	return refused
}

// posted reads a form of ours. If ok is false, it has already answered; again ends the
// sentence about a form that cannot be parsed. The values of secret fields are not in the form,
// which only shows whether they were filled in, but in secrets, for the caller to clear.
func (p *Pages) posted(w http.ResponseWriter, r *http.Request, again string, secret ...string) (
	form url.Values, secrets [][]byte, ok bool,
) {
	if err := p.ownForm(r); err != nil {
		p.failPage(w, r, err)
		return nil, nil, false
	}

	raw, err := body(w, r)
	if err != nil {
		p.failPage(w, r, err)
		return nil, nil, false
	}
	defer clear(raw)

	for _, name := range secret {
		secrets = append(secrets, takeField(raw, name))
	}
	form, err = url.ParseQuery(string(raw))
	if err != nil {
		// The parser's error may quote what was typed.
		p.failPage(w, r, fault.New(fault.KindInvalid, "form_invalid", "The form data is incomplete or malformed. %s", again))
		for _, s := range secrets {
			clear(s)
		}
		return nil, nil, false
	}

	return form, secrets, true
}

// submitForm pays by the page's form. It redirects to the status page, also for a decline.
func (p *Pages) submitForm(w http.ResponseWriter, r *http.Request) {
	form, typed, ok := p.posted(w, r, "Open the link again.", "number", "cvc")
	if !ok {
		return
	}
	f := cardFields{number: digitsTyped(typed[0]), cvc: codeTyped(typed[1])}
	defer f.clear()
	form.Set("number", filled(f.number))
	form.Set("cvc", filled(f.cvc))

	l, ok := p.open(w, r, true)
	if !ok {
		return
	}

	s, errs := p.readForm(form, f, l)
	defer s.Card.Clear()
	if len(errs) > 0 {
		p.refuseForm(w, r, l, form, errs)
		return
	}

	s.PayerLang, s.Client, s.Country = printer(r).Tag(), addressOf(r), p.countryOf(r)
	_, err := p.payments.Submit(r.Context(), s)
	if err == nil {
		http.Redirect(w, r, p.statusPath(l.Token, s.Attempt), http.StatusSeeOther)
		return
	}

	p.formFailed(w, r, l, form, err)
}

// readForm returns the submission, or everything that is wrong with it at once, in the
// order of the fields. The card's number and code are in f.
func (p *Pages) readForm(form url.Values, f cardFields, l link.Link) (payment.Submit, []*fault.Error) {
	now := p.now()
	s := payment.Submit{
		Link: l, Attempt: form.Get("attempt"), Proof: form.Get("proof"),
		PayerName: spelling.Name(form.Get("name")),
	}
	s.ReturnURL = p.absolute(p.statusPath(l.Token, s.Attempt))

	var errs []*fault.Error
	var err *fault.Error
	if s.Amount, err = formAmount(form.Get("amount"), l); err != nil {
		errs = append(errs, err)
	}
	f.name = s.PayerName
	month, year, ok := parseExpiry(form.Get("exp"))
	f.expMonth, f.expYear = month, year
	f.expMissing, f.expBad = spelling.Typed(form.Get("exp")) == "", !ok
	var cardErrs []*fault.Error
	s.Card, cardErrs = f.card(now)
	errs = append(errs, cardErrs...)
	if s.PayerEmail, err = readEmail("payer.email", form.Get("email")); err != nil {
		errs = append(errs, err)
	}
	if err := checkAttempt(s.Attempt); err != nil {
		errs = append(errs, err)
	}
	return s, errs
}

// refuseForm shows the form again with what was typed, except the card's number and
// code, and fields with a card number, and with what to fix. If the attempt is already a payment (the browser went back
// and sent an empty form), the response is that payment.
func (p *Pages) refuseForm(w http.ResponseWriter, r *http.Request, l link.Link, form url.Values, errs []*fault.Error) {
	attempt := form.Get("attempt")
	if checkAttempt(attempt) != nil {
		attempt = newAttempt()
	} else if _, found, err := p.payments.ByAttempt(r.Context(), l, attempt); err == nil && found {
		http.Redirect(w, r, p.statusPath(l.Token, attempt), http.StatusSeeOther)
		return
	}

	if l.Status(p.now()) != link.Open {
		p.truth(w, r, l, http.StatusConflict)
		return
	}

	v := p.payView(r, l, attempt)
	say := printer(r)
	v.Title = say.T("pay.title.error", "Title", v.Title)
	for _, name := range []string{"amount", "exp", "name", "email"} {
		if s := strings.ToValidUTF8(form.Get(name), ""); len(s) <= maxTypedBytes && !issuer.HasNumber(s) {
			v.Values[name] = s
		}
	}

	for _, e := range errs {
		field := formField(e.Param)
		v.Errors = append(v.Errors, fieldError{field, formWords(say, e, spelling.Typed(form.Get(field)) == "", l, p.now())})
	}

	p.html(w, r, http.StatusBadRequest, payPage(v))
}

// formField returns the form's field for a parameter of the JSON, or "" if the whole form
// is meant.
func formField(param string) string {
	switch param {
	case "amount":
		return "amount"
	case "card.number":
		return "number"
	case "card.expMonth", "card.expYear":
		return "exp"
	case "card.cvc":
		return "cvc"
	case "card.name", "payer.name":
		return "name"
	case "payer.email":
		return "email"
	}

	return ""
}

// formFailed answers a form whose submission failed. It never says that nothing was charged
// when that is unknown: then the page asks the payer to check the status.
func (p *Pages) formFailed(w http.ResponseWriter, r *http.Request, l link.Link, form url.Values, err error) {
	f := fault.From(err)
	switch {
	case f.Kind == fault.KindInvalid:
		p.refuseForm(w, r, l, form, []*fault.Error{f})
		return
	case f.Kind == fault.KindConflict:
		// Another payer, the expiry or the merchant came first. What was read before
		// is stale now.
		if fresh, openErr := p.links.Open(r.Context(), r.PathValue("token")); openErr == nil {
			l = fresh
		}
		if l.Status(p.now()) != link.Open {
			p.truth(w, r, l, http.StatusConflict)
			return
		}
		p.html(w, r, http.StatusConflict, statusPage(p.conflictView(r, l, f)))
		return
	case f.Kind == fault.KindInternal || f.Kind == fault.KindUnavailable:
		// If the attempt was recorded before it failed, its page shows the true state,
		// also while the payment is recovered.
		if _, found, e := p.payments.ByAttempt(r.Context(), l, form.Get("attempt")); e == nil && found {
			p.record(r, err)
			http.Redirect(w, r, p.statusPath(l.Token, form.Get("attempt")), http.StatusSeeOther)
			return
		}

		p.record(r, err)
		pr := problem.From(err, problem.RequestID(r.Context()))
		if s := pr.RetryAfterSeconds(); s != "" {
			w.Header().Set("Retry-After", s)
		}
		say := printer(r)
		p.html(w, r, pr.Status, messagePage(messageView{
			page:     p.page(say.T("pay.unsure.title"), l),
			Headline: say.T("pay.unsure"),
			Lead:     say.T("pay.unsure.lead"),
			Primary:  button{say.T("pay.unsure.button"), p.statusPath(l.Token, form.Get("attempt"))}, RequestID: pr.RequestID,
		}))
		return
	case f.Code == attemptsExceeded:
		p.exceeded(w, r, l, err)
		return
	}

	p.failPage(w, r, err)
}
