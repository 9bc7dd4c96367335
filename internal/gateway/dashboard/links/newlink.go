package links

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/money"
)

// Kinds of amount, and of how often a link may be paid, as the form has them.
const (
	kindFixed  = "fixed"
	kindChosen = "chosen"

	usesOnce      = "once"
	usesSeveral   = "several"
	usesUnlimited = "unlimited"
)

// newLinkView is the form of a new link beside what the payer will see.
type newLinkView struct {
	parts.Filled

	Head       parts.Head
	Action     string
	Preview    string // where the script asks for the preview
	Attempt    string
	Currencies []parts.Option
	Lives      []parts.Option
	Late       []parts.Option
	Shown      preview
	More       bool // the further fields are open
	NoMethod   bool // nothing can be paid yet
	Methods    string
}

// preview is the payer's page in small.
type preview struct {
	Payee, Amount, Description, Reference string
	Ends                                  time.Time
	Chosen                                bool
	Limits                                string
}

// newLink shows the form with usual values, or with those of the link that the query names.
func (d *Pages) newLink(v *visit) error {
	// One payment of a fixed amount within a week: what most merchants need.
	values := url.Values{
		"kind":       {kindFixed},
		"uses":       {usesOnce},
		"life":       {"604800"},
		"capture":    {link.CaptureAutomatic},
		"latePolicy": {link.LateAccept},
	}
	if cs := v.LinkCurrencies(v.d.Connectors); len(cs) > 0 {
		values.Set("currency", string(cs[0]))
	}
	// The button "duplicate" on a link's page leads here. The link must be of this account
	// and mode, as for its own page.
	if from := v.Param("from"); from != "" {
		l, err := d.Links.Get(v.Context(), v.Account.ID, v.Mode, from)
		if err != nil {
			return err
		}
		values = v.valuesOf(l)
	}

	return v.showNewLink(http.StatusOK, values, nil)
}

// valuesOf returns the form's values for a link like this one. The lifetime is the shortest
// to choose from that is not shorter than the link's.
func (v *visit) valuesOf(l link.Link) url.Values {
	c := l.Amount.Currency
	out := url.Values{
		"kind":        {kindFixed},
		"amount":      {v.Print.Typed(l.Amount)},
		"currency":    {string(c)},
		"description": {l.Description},
		"reference":   {l.Reference},
		"realm": {
			l.Realm,
		},
		"redirectUrl": {l.RedirectURL},
		"capture":     {l.Capture},
		"latePolicy":  {l.LatePolicy},
		"uses":        {usesOnce},
		"life":        {"604800"},
	}
	// Such a link has bounds instead of an amount, and its amount is zero.
	if l.PayerChooses() {
		out.Set("kind", kindChosen)
		out.Set("amount", "")
		out.Set("minAmount", v.Print.Typed(money.Of(l.MinMinor, c)))
		out.Set("maxAmount", v.Print.Typed(money.Of(l.MaxMinor, c)))
	}

	switch {
	case l.MaxUses == 0:
		out.Set("uses", usesUnlimited)
	case l.MaxUses > 1:
		out.Set("uses", usesSeveral)
		out.Set("maxUses", strconv.FormatInt(l.MaxUses, 10))
	}

	// A minute of tolerance: the end of a link is rounded up to a whole second.
	lived := l.ExpiresAt.Sub(l.CreatedAt)
	for _, each := range frame.Lives {
		if lived <= each.After+time.Minute {
			out.Set("life", strconv.FormatInt(int64(each.After/time.Second), 10))
			break
		}
	}

	// One key and value on each line, in the order of the keys, as the form reads them.
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(l.Metadata)) {
		lines = append(lines, k+"="+l.Metadata[k])
	}
	out.Set("metadata", strings.Join(lines, "\n"))
	return out
}

// showNewLink renders the form with these values and what is wrong with them, beside the
// preview.
func (v *visit) showNewLink(status int, values url.Values, wrong parts.Problems) error {
	values = parts.Emptied(values) // also those of the preview
	p := newLinkView{
		Action:  v.Path("links"),
		Preview: v.Path("links", "preview"),
		Attempt: frame.NewAttempt(),
		Filled:  parts.Filled{Values: values, Problems: wrong},
		Head:    parts.Head{Title: v.Print.T("links.new"), Back: parts.Button{Text: v.Print.T("links.title"), Href: v.Path("links")}},
		Shown:   v.preview(values),
		Methods: v.AccountPath("methods"),
	}
	// The id of a form that was refused stays the same, so that a corrected form is not a
	// new attempt.
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
	// What happens to a payment that arrives when the link has ended.
	p.Late = []parts.Option{
		{Value: link.LateAccept, Text: v.Print.T("links.late.accept")},
		{Value: link.LateHold, Text: v.Print.T("links.late.hold")},
		{Value: link.LateRefund, Text: v.Print.T("links.late.refund")},
	}
	// The further fields are open if one of them has an unusual value. Nothing that has an
	// effect may be hidden.
	p.More = values.Get("redirectUrl")+values.Get("realm")+values.Get("metadata") != "" || values.Get("capture") == link.CaptureManual ||
		values.Get(
			"latePolicy",
		) != link.LateAccept || slices.ContainsFunc(wrong, func(e parts.FieldError) bool { return slices.Contains(furtherFields, e.Field) })
	return v.Render(status, p.Head.Title, newLinkPage(p))
}

// furtherFields are those that the form shows only on request, or if one of them is wrong.
var furtherFields = []string{"redirectUrl", "capture", "latePolicy", "realm", "metadata"}

// previewLink answers with the payer's page in small, for a form that is being filled in.
// It changes nothing.
func (d *Pages) previewLink(v *visit) error {
	values, err := v.Posted()
	if err != nil {
		return err
	}
	return v.Render(http.StatusOK, v.Print.T("links.preview"), previewPart(v.preview(values)))
}

// preview reads a form leniently: what is not valid yet is left out.
func (v *visit) preview(values url.Values) preview {
	values = parts.Emptied(values)
	p := preview{
		Payee:       v.Account.Name,
		Description: strings.TrimSpace(values.Get("description")),
		Reference:   strings.TrimSpace(values.Get("reference")),
	}
	// Without a currency no amount can be written.
	c, err := money.ParseCurrency(values.Get("currency"))
	if err != nil {
		return p
	}

	amount := func(name string) string {
		a, err := i18n.ReadAmount(values.Get(name), c)
		if err != nil || a.Minor == 0 {
			return ""
		}
		return v.Print.Amount(a)
	}

	// A minimum alone is not shown: such a link also needs a maximum.
	if p.Chosen = values.Get("kind") == kindChosen; p.Chosen {
		low, high := amount("minAmount"), amount("maxAmount")
		switch {
		case low != "" && high != "":
			p.Limits = v.Print.T("links.between", "Low", low, "High", high)
		case high != "":
			p.Limits = v.Print.T("payments.atMost", "Amount", high)
		}
	} else {
		p.Amount = amount("amount")
	}
	if s, err := strconv.ParseInt(values.Get("life"), 10, 64); err == nil && s > 0 && s <= int64(link.MaxLife/time.Second) {
		p.Ends = v.d.Now().Add(time.Duration(s) * time.Second)
	}
	return p
}

// createLink makes the link of the form, once, and shows it. A refused form keeps its
// attempt id, because nothing was made.
func (d *Pages) createLink(v *visit) error {
	values, err := v.Posted()
	if err != nil {
		return err
	}
	if values.Get("show") != "" { // the button without a script: the preview alone
		return v.showNewLink(http.StatusOK, values, nil)
	}
	// Checked before the fields are, because no correction of them would help.
	if v.Mode == link.Live && v.Account.TestOnly {
		return merchant.ErrUnconfirmed
	}

	linkRequest, wrong := v.linkRequest(values)
	if len(wrong) > 0 {
		return v.showNewLink(http.StatusUnprocessableEntity, values, wrong)
	}

	// The record is written in the transaction that makes the link, so a form that is sent
	// twice makes one link.
	var made link.Link
	replayed, err := v.Once(d.Records, shapeLink, func(t *idempotency.Ticket) (err error) {
		linkRequest.Ticket = t
		made, err = d.Links.Create(v.Context(), linkRequest)
		return err
	})
	if err != nil {
		// The service names the fields of the API. Only the lifetime has another name here.
		if wrong := v.Problems(err); wrong != nil {
			for i := range wrong {
				if wrong[i].Field == "expiresInSeconds" {
					wrong[i].Field = "life"
				}
			}
			return v.showNewLink(http.StatusUnprocessableEntity, values, wrong)
		}
		return err
	}

	// The link was made when the form was first sent. Its recorded response has the id.
	if replayed != nil {
		if made.ID, err = frame.RecordedID(replayed); err != nil {
			return err
		}
	}

	return v.Redirect(v.Path("links", made.ID), "good", v.Print.T("links.said.created"))
}

// linkRequest reads the form into a request to the service of links. It refuses only what the
// service could not report by the form's own fields.
func (v *visit) linkRequest(values url.Values) (link.CreateRequest, parts.Problems) {
	get := func(name string) string { return strings.TrimSpace(values.Get(name)) }
	r := link.CreateRequest{
		Account:  v.Account.ID,
		Mode:     v.Mode,
		Payee:    v.Account.Name,
		Methods:  v.Methods(v.d.Connectors),
		Currency: get("currency"),
		Description: get(
			"description",
		),
		Reference:   get("reference"),
		Realm:       get("realm"),
		RedirectURL: get("redirectUrl"),
		Capture:     get("capture"),
		LatePolicy:  get("latePolicy"),
	}
	var wrong parts.Problems
	// AmountIn reads an amount as people of the reader's language type it, and notes a
	// problem if it cannot. An empty input is an empty amount.
	amount := func(name string) string { return v.AmountIn(r.Currency, name, get(name), &wrong) }
	if values.Get("kind") == kindChosen {
		r.MinAmount, r.MaxAmount = amount("minAmount"), amount("maxAmount")
		if r.MaxAmount == "" {
			wrong = append(wrong, parts.FieldError{Field: "maxAmount", Text: v.Print.T("links.wrong.max")})
		}
	} else if r.Amount = amount("amount"); r.Amount == "" {
		wrong = append(wrong, parts.FieldError{Field: "amount", Text: v.Print.T("links.wrong.amount")})
	}

	// A link may be paid once unless the form says otherwise, and unlimited is a null of
	// its own.
	switch values.Get("uses") {
	case usesUnlimited:
		r.MaxUsesNull = true
	case usesSeveral:
		n, err := strconv.ParseInt(get("maxUses"), 10, 64)
		if err != nil || n < 1 || n > link.MaxUsesLimit {
			wrong = append(wrong, parts.FieldError{Field: "maxUses", Text: v.Print.T("common.fault.uses")})
		}
		r.MaxUses = &n
	}

	s, err := strconv.ParseInt(get("life"), 10, 64)
	if err != nil {
		wrong = append(wrong, parts.FieldError{Field: "life", Text: v.Print.T("common.fault.expiry")})
	}
	r.ExpiresInSeconds = &s
	// Keys and values are not checked here: the service limits them.
	for line := range strings.Lines(values.Get("metadata")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		k, value, ok := strings.Cut(line, "=")
		if !ok {
			wrong = append(wrong, parts.FieldError{Field: "metadata", Text: v.Print.T("links.wrong.metadata")})
			break
		}
		if r.Metadata == nil {
			r.Metadata = map[string]string{}
		}
		r.Metadata[strings.TrimSpace(k)] = strings.TrimSpace(value)
	}

	return r, wrong
}
