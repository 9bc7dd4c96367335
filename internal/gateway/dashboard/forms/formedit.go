package forms

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/money"
)

// How a field is asked for, and the kinds of amount, as the page's form has them.
const (
	askNot      = ""
	askOptional = "optional"
	askRequired = "required"

	kindFixed  = "fixed"
	kindList   = "list"
	kindChosen = "chosen"
)

// formEdit is the page on which a form is made or changed. Revision is empty for a new
// form; Attempt is used only for one.
type formEdit struct {
	parts.Filled

	Head       parts.Head
	Action     string
	Preview    string
	Attempt    string
	Revision   string
	Save       string
	Currencies []parts.Option
	Lives      []parts.Option
	Asks       []parts.Option
	Corners    []parts.Option
	NoMethod   bool
	Methods    string
	FrameTitle string
}

// newForm shows the page for a new form with usual values.
func (d *Pages) newForm(v *visit) error {
	// A link of a form lives an hour unless the merchant chooses otherwise: the payer is on
	// the page already, so a long life would only keep abandoned links open.
	values := url.Values{
		"kind":      {kindFixed},
		"life":      {"3600"},
		"capture":   {link.CaptureAutomatic},
		"accent":    {link.DefaultAccent},
		"corners":   {link.CornersRound},
		"ask-email": {askRequired},
	}
	// The first currency that can be collected. Without any, the page says so and links to
	// where a payment method is connected.
	if cs := v.LinkCurrencies(v.d.Connectors); len(cs) > 0 {
		values.Set("currency", string(cs[0]))
	}
	return v.showFormEdit(http.StatusOK, link.Form{}, values, nil)
}

// editForm shows the page with a form as it is stored.
func (d *Pages) editForm(v *visit) error {
	f, err := v.readForm()
	if err != nil {
		return err
	}
	return v.showFormEdit(http.StatusOK, f, v.formValues(f), nil)
}

// typed returns the amounts of a form as a person would type them.
func (v *visit) typed(f link.Form) (out []string) {
	for _, minor := range f.Amounts {
		out = append(out, v.Print.Typed(money.Of(minor, f.Currency)))
	}
	return out
}

// formValues returns the page's values for a form as it is. Values that the page does not
// show, such as the realm, are carried along, so that saving keeps them.
func (v *visit) formValues(f link.Form) url.Values {
	c := f.Currency
	out := url.Values{"name": {f.Name}, "kind": {kindFixed}, "currency": {string(c)}, "description": {f.Description}, "button": {f.Button},
		"origins": {
			strings.Join(f.Origins, "\n"),
		}, "redirectUrl": {f.RedirectURL}, "life": {strconv.FormatInt(f.LifeSeconds, 10)}, "capture": {f.Capture},
		"accent": {
			f.Look.Accent,
		}, "accentDark": {f.Look.AccentDark}, "accentWas": {f.Look.Accent}, "corners": {f.Look.Corners}, "realm": {f.Realm},
		"latePolicy": {f.LatePolicy}, "paymentMethod": {f.PaymentMethod}}

	switch {
	// The payer types the amount: the form has bounds instead of amounts.
	case f.Typed():
		out.Set("kind", kindChosen)
		out.Set("minAmount", v.Print.Typed(money.Of(f.MinMinor, c)))
		out.Set("maxAmount", v.Print.Typed(money.Of(f.MaxMinor, c)))
	case f.Fixed():
		out.Set("amount", v.typed(f)[0])
	default:
		out.Set("kind", kindList)
		out.Set("amounts", strings.Join(v.typed(f), "\n"))
	}

	if f.Disabled {
		out.Set("disabled", "true")
	}

	// The known fields have inputs of their own names. The merchant's own fields are
	// numbered in their order, and carry their key so that a new label does not make a new
	// field.
	own := 0
	for _, field := range f.Fields {
		ask := askOptional
		if field.Required {
			ask = askRequired
		}
		if !field.Custom() {
			out.Set("ask-"+field.Name, ask)
			out.Set("label-"+field.Name, field.Label)
			continue
		}
		n := strconv.Itoa(own)
		out.Set("own-"+n, field.Label)
		out.Set("own-key-"+n, field.Name)
		out.Set("own-ask-"+n, ask)
		own++
	}

	return out
}

// showFormEdit renders the page with these values. For a stored form it is the page of a
// change, based on the revision that the values name, or else on the stored one.
func (v *visit) showFormEdit(status int, f link.Form, values url.Values, wrong parts.Problems) error {
	values = parts.Emptied(values)
	p := formEdit{
		Action:  v.Path("forms"),
		Preview: v.Path("forms", "preview"),
		Attempt: frame.NewAttempt(),
		Filled:  parts.Filled{Values: values, Problems: wrong},
		Save:    v.Print.T("forms.create"),
		Head: parts.Head{
			Title: v.Print.T("forms.new"),
			Back:  parts.Button{Text: v.Print.T("forms.title"), Href: v.Path("forms")},
		},
		Methods:    v.AccountPath("methods"),
		FrameTitle: v.Print.T("links.preview"),
		Asks: []parts.Option{
			{Value: askNot, Text: v.Print.T("forms.ask.not")},
			{Value: askOptional, Text: v.Print.T("forms.ask.optional")},
			{Value: askRequired, Text: v.Print.T("forms.ask.required")},
		},
		Corners: []parts.Option{
			{Value: link.CornersRound, Text: v.Print.T("forms.corners.round")},
			{Value: link.CornersSoft, Text: v.Print.T("forms.corners.soft")},
			{Value: link.CornersSquare, Text: v.Print.T("forms.corners.square")},
		},
	}

	if f.ID != "" {
		p.Action, p.Save = v.Path("forms", f.ID, "edit"), v.Print.T("forms.save")
		p.Head.Title, p.Head.Back = v.Print.T("forms.editTitle", "Name", f.Name), parts.Button{Text: f.Name, Href: v.Path("forms", f.ID)}
		p.Revision = values.Get("revision")
		if p.Revision == "" {
			p.Revision = strconv.FormatInt(f.Revision, 10)
		}
	}

	// The id of a page that was sent and refused is kept, so that sending it once more is
	// still the same attempt.
	if typed := values.Get("attempt"); frame.AttemptOK(typed) {
		p.Attempt = typed // a form that was refused was not carried out
	}

	for _, c := range v.LinkCurrencies(v.d.Connectors) {
		p.Currencies = append(p.Currencies, parts.Option{Value: string(c), Text: string(c)})
	}
	p.NoMethod = len(p.Currencies) == 0
	for _, each := range frame.Lives {
		p.Lives = append(p.Lives, parts.Option{Value: strconv.FormatInt(int64(each.After/time.Second), 10), Text: v.Print.T(each.Key)})
	}

	// A life that was set by the API and is none of ours to choose stays as it is.
	if own := values.Get("life"); own != "" && !slices.ContainsFunc(p.Lives, func(o parts.Option) bool { return o.Value == own }) {
		if n, err := strconv.ParseInt(own, 10, 64); err == nil {
			p.Lives = append(p.Lives, parts.Option{Value: own, Text: v.lifeText(n)})
		}
	}

	// The preview is a frame of our own page, which the usual policy forbids.
	v.Frames = true
	return v.Render(status, p.Head.Title, formEditPage(p))
}

// formRequest reads the page into a request to the service. The problems are amounts that
// cannot be read; the service checks everything else.
func (v *visit) formRequest(values url.Values) (r link.FormRequest, wrong parts.Problems) {
	get := func(name string) string { return strings.TrimSpace(values.Get(name)) }
	r = link.FormRequest{
		Account:  v.Account.ID,
		Mode:     v.Mode,
		Payee:    v.Account.Name,
		Methods:  v.Methods(v.d.Connectors),
		Name:     get("name"),
		Currency: get("currency"),
		Description: get(
			"description",
		),
		Button:        get("button"),
		RedirectURL:   get("redirectUrl"),
		Capture:       get("capture"),
		LatePolicy:    get("latePolicy"),
		Realm:         get("realm"),
		PaymentMethod: get("paymentMethod"),
		Disabled:      get("disabled") != "",
		Origins:       strings.Fields(values.Get("origins")),
		Look:          link.Look{Accent: get("accent"), Corners: get("corners")},
	}
	// The page has one color. A form may have two, if the API set them.
	if get("accentWas") == get("accent") { // a separate color for the dark theme stays until the accent is changed
		r.Look.AccentDark = get("accentDark")
	}
	amount := func(field, typed string) string { return v.AmountIn(r.Currency, field, typed, &wrong) }

	// Only the inputs of the chosen kind are read. What was typed for another kind before
	// is not an error.
	switch values.Get("kind") {
	case kindChosen:
		r.MinAmount, r.MaxAmount = amount("minAmount", get("minAmount")), amount("maxAmount", get("maxAmount"))
	case kindList:
		for line := range strings.FieldsFuncSeq(values.Get("amounts"), func(c rune) bool { return c == '\n' || c == '\r' || c == ';' }) {
			if line = amount("amounts", line); line != "" {
				r.Amounts = append(r.Amounts, line)
			}
		}
	default:
		r.Amount = amount("amount", get("amount"))
	}

	if s, err := strconv.ParseInt(get("life"), 10, 64); err == nil {
		r.LinkLifeSeconds = &s
	}
	// A life that is not a number stays nil, and the service then uses the usual one.
	r.Fields = formFields(values)
	return r, wrong
}

// formFields returns the fields that the page asks for: the known ones first, and then the
// merchant's own, each under its key. A key that exists stays, because payments carry it.
func formFields(values url.Values) (fields []link.Field) {
	for _, name := range []string{link.FieldName, link.FieldEmail, link.FieldReference} {
		if ask := values.Get("ask-" + name); ask != askNot {
			fields = append(fields, link.Field{Name: name, Label: strings.TrimSpace(values.Get("label-" + name)), Required: ask == askRequired})
		}
	}

	// An empty label or "not asked" removes a field. Two fields never have one key: the
	// second would overwrite the first in the metadata of a payment.
	taken := map[string]bool{}
	for i := range link.MaxCustomFields {
		n := strconv.Itoa(i)
		label, ask := strings.TrimSpace(values.Get("own-"+n)), values.Get("own-ask-"+n)
		if label == "" || ask == askNot {
			continue
		}
		key := values.Get("own-key-" + n) // as it was: payments carry it
		if key == "" || taken[key] {
			key = fieldKey(label, i)
		}
		for taken[key] {
			key += "_" + n
		}
		taken[key] = true
		fields = append(fields, link.Field{Name: key, Label: label, Required: ask == askRequired})
	}

	return fields
}

// fieldKey makes a key of a label: the name of the field in the metadata of a payment. A
// label without usable characters, or with a name that is taken, gets a numbered key.
func fieldKey(label string, i int) string {
	const most = 32
	key := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c == ' ' || c == '-' || c == '_':
			return '_'
		}
		return -1
	}, strings.ToLower(label))
	// The key is ASCII by now, so cutting it at a byte is safe.
	key = strings.Trim(key[:min(len(key), most)], "_0123456789")
	// These names are used by the form itself, or by what the form adds to the metadata.
	reserved := []string{"", link.FieldName, link.FieldEmail, link.FieldReference, "form", "amount", "attempt"}
	if slices.Contains(reserved, key) {
		return "field_" + formNumber(i)
	}

	return key
}

// formProblems returns the faults of the service beside the page's fields, or nil if the
// reader cannot fix the error. A conflict is about the whole form.
func (v *visit) formProblems(values url.Values, err error) parts.Problems {
	// The service names the fields of the API. The page has other ones: an amount, for
	// example, is typed in a different input for each kind.
	wrong := v.Problems(err)
	f := fault.From(err)
	for i := range wrong {
		field := wrong[i].Field
		switch {
		case field == "linkLifeSeconds":
			wrong[i].Field = "life"
		case strings.HasPrefix(field, "amounts"):
			wrong[i].Field = "amounts"
		case field == "amount" && values.Get("kind") == kindList:
			wrong[i].Field = "amounts"
		case field == "amount" && values.Get("kind") == kindChosen:
			wrong[i].Field = "maxAmount"
		case strings.HasPrefix(field, "origins"):
			wrong[i].Field = "origins"
		case strings.HasPrefix(field, "look.accent"):
			wrong[i].Field = "accent"
		case field == "look.corners":
			wrong[i].Field = "corners"
		case strings.HasPrefix(field, "fields["):
			wrong[i].Field = "own-0"
		}
	}

	// There is no input beside which these could be shown: they go to the top of the page.
	if f.Code == "changed_meanwhile" || f.Code == "form_archived" {
		for i := range wrong {
			wrong[i].Field = ""
		}
	}

	return wrong
}

// createForm makes the form of the page, once, and shows it. A refused form keeps its
// attempt id, because nothing was made.
func (d *Pages) createForm(v *visit) error {
	values, err := v.Posted()
	if err != nil {
		return err
	}

	// Checked before the inputs are, because no correction of them would help.
	if v.Mode == link.Live && v.Account.TestOnly {
		return merchant.ErrUnconfirmed
	}

	request, wrong := v.formRequest(values)
	if len(wrong) > 0 {
		return v.showFormEdit(http.StatusUnprocessableEntity, link.Form{}, values, wrong)
	}

	// The record is written in the transaction that makes the form, so a page that is sent
	// twice makes one form.
	var made link.Form
	replayed, err := v.Once(d.Records, shapeForm, func(t *idempotency.Ticket) (err error) {
		request.Ticket = t
		made, err = d.Forms.CreateForm(v.Context(), request)
		return err
	})
	if err != nil {
		if wrong := v.formProblems(values, err); wrong != nil {
			return v.showFormEdit(http.StatusUnprocessableEntity, link.Form{}, values, wrong)
		}
		return err
	}

	if replayed != nil {
		if made.ID, err = frame.RecordedID(replayed); err != nil {
			return err
		}
	}

	return v.Redirect(v.Path("forms", made.ID), "good", v.Print.T("forms.said.created"))
}

// updateForm changes the form in the revision that the page was made from. If it is sent
// again, it finds its own change and reports a conflict, as with another user's change:
// nothing is done twice.
func (d *Pages) updateForm(v *visit) error {
	values, err := v.Posted()
	if err != nil {
		return err
	}

	// The stored form is needed for the heading if the page is shown once more.
	was, err := v.readForm()
	if err != nil {
		return err
	}

	// The revision is a hidden input, so only a damaged page can have none.
	revision, err := strconv.ParseInt(values.Get("revision"), 10, 64)
	if err != nil || revision < 1 {
		return fault.New(fault.KindInvalid, "form_invalid", "The form data is incomplete or malformed. Reload the page and try again.")
	}

	request, wrong := v.formRequest(values)
	if len(wrong) > 0 {
		return v.showFormEdit(http.StatusUnprocessableEntity, was, values, wrong)
	}

	f, err := d.Forms.UpdateForm(v.Context(), was.ID, revision, request)
	if err != nil {
		if wrong := v.formProblems(values, err); wrong != nil {
			return v.showFormEdit(http.StatusUnprocessableEntity, was, values, wrong)
		}
		return err
	}

	return v.Redirect(v.Path("forms", f.ID), "good", v.Print.T("forms.said.saved"))
}

// previewForm shows the payer's page for a form that is being made. It is lenient: what is
// not valid yet is left out. It changes nothing.
func (d *Pages) previewForm(v *visit) error {
	// Problems are ignored: the page asks for previews while the reader types, when most
	// inputs are incomplete.
	r, _ := v.formRequest(v.URL.Query())
	f := link.Form{Mode: v.Mode, Payee: v.Account.Name, Description: r.Description, Button: r.Button, Currency: "EUR"}
	if c, err := money.ParseCurrency(r.Currency); err == nil {
		f.Currency = c
	}
	// An amount that cannot be read yet counts as zero.
	parse := func(s string) int64 {
		a, err := money.Parse(s, f.Currency)
		if err != nil {
			return 0
		}
		return a.Minor
	}

	if v.URL.Query().Get("kind") == kindChosen {
		// A minimum of at least one keeps the form one whose amount is typed.
		f.MinMinor, f.MaxMinor = max(parse(r.MinAmount), 1), parse(r.MaxAmount)
	} else {
		for _, s := range append(r.Amounts, r.Amount) {
			if minor := parse(s); minor > 0 && len(f.Amounts) < link.MaxFormAmounts {
				f.Amounts = append(f.Amounts, minor)
			}
		}
		// A zero amount, so that the page has the shape of a form with a fixed amount.
		if len(f.Amounts) == 0 {
			f.Amounts = []int64{0}
		}
	}

	for _, field := range r.Fields {
		// The service, which limits labels, is not asked for a preview.
		field.Label = field.Label[:min(len(field.Label), 4*link.MaxFieldLabel)]
		f.Fields = append(f.Fields, field)
	}

	var err error
	// The color may be half typed. Then only the corners are used, and if these are wrong
	// too, the usual look.
	if f.Look, err = r.Look.Checked(); err != nil {
		f.Look, _ = link.Look{Corners: r.Look.Corners}.Checked() // the default colors
		if f.Look.AccentDark == "" {
			f.Look, _ = link.Look{}.Checked()
		}
	}

	d.Payer.Preview(v.Writer, v.Request, f)
	return nil
}

// lines returns a field of several lines, for text that is read from left to right.
func (p formEdit) lines(id, label, hint string, rows int) parts.Field {
	f := p.Field(id, label, hint)
	// Addresses and amounts read from left to right in every language.
	f.Lines, f.Attrs = rows, templ.Attributes{"dir": "ltr", "spellcheck": "false"}
	return f
}

// kept returns the names of values that the page carries along and does not show.
func (p formEdit) kept() (names []string) {
	// They become hidden inputs, because a change replaces the whole form: what is not sent
	// would be erased.
	names = []string{"accentDark", "accentWas", "latePolicy", "realm", "paymentMethod"}
	for _, name := range []string{link.FieldName, link.FieldEmail, link.FieldReference} {
		names = append(names, "label-"+name)
	}
	for i := range link.MaxCustomFields {
		names = append(names, "own-key-"+strconv.Itoa(i))
	}
	return slices.DeleteFunc(names, func(name string) bool { return p.Values.Get(name) == "" })
}
