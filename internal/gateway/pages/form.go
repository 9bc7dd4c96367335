package pages

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/spelling"
)

// Limits on how often a form is submitted, counted in this process.
const (
	formRate     = 20 // a second
	formBurst    = 100
	maxFormRates = 4096 // forms that are counted; the least recently used are dropped first
)

// Forms finds forms and makes their links.
type Forms interface {
	// Form returns a form by its public id, or fault.NotFound.
	Form(ctx context.Context, id string) (link.Form, error)
	// Fill makes the link of an attempt, or returns the existing one. r lacks payee and
	// methods.
	Fill(ctx context.Context, f link.Form, r link.FormLinkRequest) (link.Link, error)
}

// formView is the page of a form. Errors and Values are set when it is shown again.
type formView struct {
	page
	Payee, Description string
	Attempt, Action    string
	Amount             string // fixed, as the reader's language writes it
	Choices            []formChoice
	Typed              bool
	Currency           string
	AmountHint         string
	AmountMode         string
	Fields             []formInput
	Button             string
	Errors             []fieldError
	Values             map[string]string
	Say                *i18n.Printer
	Preview            bool // nothing can be sent
}

// formChoice is one amount of a list: as it is sent, and as it is shown.
type formChoice struct{ Value, Text string }

// formInput is one field of the form. Auto and Mode are the attributes autocomplete and
// inputmode.
type formInput struct {
	Name, Label, Type, Auto, Mode string
	Required                      bool
}

// err returns the error of a field, or "".
func (v formView) err(field string) string { return payView{Errors: v.Errors}.err(field) }

// anchor returns the HTML id of a field. A merchant's name never becomes an id of the page.
func (v formView) anchor(field string) string { return "f-" + field }

// described returns the aria-describedby of a field, as payView.described does, with the
// ids of this page.
func (v formView) described(field string, hint bool) string {
	var renamed []fieldError
	for _, e := range v.Errors {
		renamed = append(renamed, fieldError{v.anchor(e.Field), e.Text})
	}
	return payView{Errors: renamed}.described(v.anchor(field), hint)
}

// chosen returns the option that the payer picked, or the first.
func (v formView) chosen(value string) bool {
	if picked, ok := v.Values["amount"]; ok {
		return picked == value
	}
	return v.Choices[0].Value == value
}

// form shows the page of a form. It changes nothing, and mints the attempt id that makes
// a form that is sent twice one link.
func (p *Pages) form(w http.ResponseWriter, r *http.Request) {
	if bare, ok := meant(r.PathValue("form"), p.ourForm(r)); ok {
		p.goTo(w, r, p.base+"/f/"+url.PathEscape(bare))
		return
	}
	f, ok := p.openForm(w, r)
	if !ok {

		return
	}
	p.html(w, r, http.StatusOK, formPage(p.formView(r, f, link.NewAttempt())))
}

// PreviewForm shows the page of a form to its merchant, in a frame of our own pages.
// Nothing can be sent from it. The caller has checked that the form belongs to the reader.
func (p *Pages) PreviewForm(w http.ResponseWriter, r *http.Request, f link.Form) {
	v := p.formView(r, f, "")
	v.Preview, v.Origins = true, "" // the merchant's pages are not there to be spoken with
	w.Header().Del("Content-Security-Policy")
	framable(w.Header(), []string{"'self'"})
	p.html(w, r, http.StatusOK, formPage(v))
}

// openForm finds the request's form and lets its origins frame the page. A form that is
// disabled or archived is answered with 410. If ok is false, it has already answered.
func (p *Pages) openForm(w http.ResponseWriter, r *http.Request) (link.Form, bool) {
	f, err := p.forms.Form(r.Context(), r.PathValue("form"))
	if err != nil {
		p.failPage(w, r, err)
		return f, false
	}

	framable(w.Header(), f.Origins)
	if !f.Active() {
		p.formInactive(w, r, f)
		return f, false
	}

	return f, true
}

// formInactive answers with the page of a form that takes no payments.
func (p *Pages) formInactive(w http.ResponseWriter, r *http.Request, f link.Form) {
	say := formPrinter(r)
	p.html(w, r, http.StatusGone, messagePage(messageView{page: p.formPage(say.T("form.inactive"), f),
		Headline: say.T("form.inactive"), Lead: say.T("form.inactiveLead", "Payee", f.Payee)}))
}

// formPrinter returns the printer of the request's language.
func formPrinter(r *http.Request) *i18n.Printer { return i18n.From(r.Context()) }

// formPage returns the parts that every page of a form has.
func (p *Pages) formPage(title string, f link.Form) page {
	return page{Title: title, Base: p.base, Test: f.Mode == link.Test}.dressed(f.ID, f.Origins, f.Look)
}

// formView returns the page of a form under an attempt id. A fixed amount is shown, a typed
// one has a hint with its bounds, and a list has choices.
func (p *Pages) formView(r *http.Request, f link.Form, attempt string) formView {
	say := formPrinter(r)
	v := formView{page: p.formPage(say.T("form.title", "Payee", f.Payee), f), Payee: f.Payee, Description: f.Description, Attempt: attempt,
		Action: p.base + "/f/" + f.ID, Currency: string(f.Currency), Typed: f.Typed(), Button: f.Button, Values: map[string]string{}, Say: say}
	if picked := pickedLanguage(r); picked != "" { // a frame of another site has no cookies
		v.Action += "?lang=" + picked
	}
	if v.Button == "" {
		v.Button = say.T("form.button")
	}

	switch {
	case f.Fixed():
		v.Amount = say.Amount(money.Of(f.Amounts[0], f.Currency))
		if f.Amounts[0] == 0 { // the form is still being edited
			v.Amount = "–"
		}
	case f.Typed():
		v.AmountHint = say.T("form.between", "Low", money.Of(f.MinMinor, f.Currency), "High", money.Of(f.MaxMinor, f.Currency))
		v.AmountMode = "decimal"
		if f.Currency.Exponent() == 0 {
			v.AmountMode = "numeric"
		}
	default:
		for _, minor := range f.Amounts {
			a := money.Of(minor, f.Currency)
			v.Choices = append(v.Choices, formChoice{a.Decimal(), say.Amount(a)})
		}
	}

	for _, field := range f.Fields {
		v.Fields = append(v.Fields, formInputOf(field, say))
	}
	return v
}

// formInputOf returns the input of a field. The three known names get a translated label,
// unless the merchant wrote one, and the browser's autofill.
func formInputOf(f link.Field, say *i18n.Printer) formInput {
	in := formInput{Name: f.Name, Label: f.Label, Type: "text", Auto: "off", Required: f.Required}
	label := ""
	switch f.Name {
	case link.FieldName:
		label, in.Auto = say.T("form.name"), "name"
	case link.FieldEmail:
		label, in.Type, in.Auto, in.Mode = say.T("form.email"), "email", "email", "email"
	case link.FieldReference:
		label = say.T("form.reference")
	}

	if in.Label == "" {
		in.Label = label
	}
	return in
}

// fillForm makes the link and redirects to it within the same frame. As with a payment, the
// work continues if the browser disconnects, for at most submitTimeout. After a crash there
// is a link or none, and the same form sent again finds or makes it.
func (p *Pages) fillForm(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), submitTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	form, _, ok := p.posted(w, r, "Open it again.")
	if !ok {
		return
	}

	f, ok := p.openForm(w, r)
	if !ok {
		return
	}
	limited, state, err := p.formLimiter.RateLimitCtx(r.Context(), f.ID, 1)
	if err != nil {
		p.failPage(w, r, err)
		return
	}
	if limited {
		busy := fault.New(
			fault.KindRateLimited,
			"rate_limited",
			"Too many people are submitting this form right now. Try again in a few seconds.",
		)
		busy.RetryAfter = max(state.RetryAfter, time.Second)
		p.failPage(w, r, busy)
		return
	}

	q, errs := p.filled(f, form)
	q.Lang = pickedLanguage(r)
	if len(errs) > 0 {
		p.refuseFilled(w, r, f, form, errs)
		return
	}

	l, err := p.forms.Fill(r.Context(), f, q)
	if err != nil {
		p.fillFailed(w, r, f, form, err)
		return
	}

	http.Redirect(w, r, p.payPath(l.Token), http.StatusSeeOther) // a path of our own, with the token escaped in it
}

// filled reads the submitted fields, or returns everything that is missing or unreadable at
// once. The service links checks the rest, such as the bounds of the amount.
func (p *Pages) filled(f link.Form, form url.Values) (q link.FormLinkRequest, errs []*fault.Error) {
	q = link.FormLinkRequest{Form: f.ID, Attempt: form.Get("attempt"), Amount: form.Get("amount"), Values: map[string]string{}}
	switch {
	case f.Typed() && spelling.Typed(q.Amount) != "": // the others are plain decimals that the page itself wrote
		a, err := typedAmount(q.Amount, f.Currency)
		if err != nil {
			errs = append(errs, err)
		} else {
			q.Amount = a.Decimal()
		}
	case !f.Fixed() && spelling.Typed(q.Amount) == "":
		errs = append(errs, fault.Invalid("amount", "parameter_missing", "Choose the amount to pay."))
	}

	for _, field := range f.Fields {
		value := spelling.Name(form.Get(field.Name))
		if value == "" && field.Required {
			errs = append(errs, fault.Invalid(field.Name, "parameter_missing", "This field is required."))
		}
		if field.Name == link.FieldEmail {
			var err *fault.Error
			if value, err = readEmail(field.Name, value); err != nil {
				errs = append(errs, err)
			}
		}
		q.Values[field.Name] = value
	}

	return q, errs
}

// fillFailed answers a form that the service refused: with the form again if a field is
// wrong, and otherwise with the page of an inactive form or of the error.
func (p *Pages) fillFailed(w http.ResponseWriter, r *http.Request, f link.Form, form url.Values, err error) {
	refused := fault.From(err)
	fields := map[string]bool{"amount": true, "attempt": true}
	for _, field := range f.Fields {
		fields[field.Name] = true
	}

	switch {
	case refused.Kind == fault.KindInvalid && fields[refused.Param]:
		p.refuseFilled(w, r, f, form, []*fault.Error{refused})
	case refused.Kind == fault.KindInvalid, refused.Code == "form_inactive":
		// The merchant's payment methods do not carry the form anymore.
		p.record(r, err)
		p.formInactive(w, r, f)
	default:
		p.failPage(w, r, err)
	}
}

// refuseFilled shows the form again with what was typed, except fields with a card number, and
// what to fix. If the attempt itself was refused, the page gets a new one.
func (p *Pages) refuseFilled(w http.ResponseWriter, r *http.Request, f link.Form, form url.Values, errs []*fault.Error) {
	attempt := form.Get("attempt")
	for _, e := range errs {
		if e.Param == "attempt" {
			attempt = link.NewAttempt()
		}
	}

	say := formPrinter(r)
	v := p.formView(r, f, attempt)
	v.Title = say.T("form.errorTitle", "Title", v.Title)
	for _, name := range append([]string{"amount"}, namesOf(f.Fields)...) {
		if s := strings.ToValidUTF8(form.Get(name), ""); len(s) <= 4*link.MaxFieldValue && !issuer.HasNumber(s) {
			v.Values[name] = s
		}
	}

	for _, e := range errs {
		field := e.Param
		if field == "attempt" {
			field = ""
		}
		v.Errors = append(v.Errors, fieldError{field, formFault(say, f, e)})
	}

	p.html(w, r, http.StatusBadRequest, formPage(v))
}

// namesOf returns the names of fields, in their order.
func namesOf(fields []link.Field) (names []string) {
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

// formFault translates a fault into the reader's language. A fault without a translation
// shows its own sentence.
func formFault(say *i18n.Printer, f link.Form, e *fault.Error) string {
	if words := say.AmountFault(e.Cause); words != "" {
		return words
	}

	switch e.Code {
	case "parameter_missing":
		if e.Param == "amount" {
			return say.T("form.fault.amount")
		}
		for _, field := range f.Fields {
			if field.Name == e.Param {
				return say.T("form.fault.required", "Field", formInputOf(field, say).Label)
			}
		}
	case "amount_mismatch", "amount_invalid", "amount_too_many_decimals": // of a list
		return say.T("form.fault.amount")
	case "amount_too_small":
		return say.T("form.fault.small", "Low", money.Of(f.MinMinor, f.Currency))
	case "amount_too_large":
		return say.T("form.fault.large", "High", money.Of(f.MaxMinor, f.Currency))
	case "email_invalid":
		return say.T("form.fault.email")
	case "too_long":
		return say.T("form.fault.long")
	case "invalid_characters", "text_invalid":
		return say.T("form.fault.characters")
	case issuer.NumberInText:
		return say.T("pay.error.cardInText")
	case "attempt_invalid":
		return say.T("form.fault.again")
	}

	return e.Detail
}

// newFormLimiter limits how often each form is submitted in this process: formBurst times at
// once, and formRate times a second after that.
func newFormLimiter(now func() time.Time) (*throttled.GCRARateLimiterCtx, error) {
	store, err := memstore.New(maxFormRates)
	if err != nil {
		return nil, err
	}
	store.SetTimeNow(now)
	// The burst of throttled does not include the first request.
	l, err := throttled.NewGCRARateLimiterCtx(
		throttled.WrapStoreWithContext(store),
		throttled.RateQuota{MaxRate: throttled.PerSec(formRate), MaxBurst: formBurst - 1},
	)
	if err != nil {
		return nil, err
	}
	// Each lost race is the success of another request, so the loop ends.
	l.SetMaxCASAttemptsLimit(maxFormRates)
	return l, nil
}

// registerForms adds the routes of forms. Without the service of forms, only the script and
// the style sheets are served, which pages of other sites still refer to.
func (p *Pages) registerForms(mux *http.ServeMux) {
	mux.HandleFunc("GET /embed.js", p.embedScript)
	mux.HandleFunc("/embed.js", refuse("GET, HEAD"))
	mux.HandleFunc("GET /assets/look/{look}", p.look)
	if p.forms == nil {
		return
	}
	mux.HandleFunc("/f/", p.beside("/f/", p.ourForm))
	mux.HandleFunc("GET /f/{form}", p.spoken(p.form))
	mux.HandleFunc("POST /f/{form}", p.spoken(p.fillForm))
	mux.HandleFunc("/f/{form}", func(w http.ResponseWriter, r *http.Request) { problem.MethodNotAllowed(w, r, "GET, HEAD, POST") })
}
