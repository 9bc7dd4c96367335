package dashboard

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

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
	filled

	Head       head
	Action     string
	Preview    string // where the script asks for the preview
	Attempt    string
	Currencies []option
	Lives      []option
	Late       []option
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

func (d *Dashboard) newLink(v *visit) error {
	values := url.Values{"kind": {kindFixed}, "uses": {usesOnce}, "life": {"604800"}, "capture": {link.CaptureAutomatic}, "latePolicy": {link.LateAccept}}
	if cs := v.linkCurrencies(); len(cs) > 0 {
		values.Set("currency", string(cs[0]))
	}
	if from := v.param("from"); from != "" {
		l, err := d.Links.Get(v.Context(), v.account.ID, v.mode, from)
		if err != nil {
			return err
		}
		values = v.valuesOf(l)
	}
	return v.showNewLink(http.StatusOK, values, nil)
}

// valuesOf fills the form with what a link was made of.
func (v *visit) valuesOf(l link.Link) url.Values {
	c := l.Amount.Currency
	out := url.Values{"kind": {kindFixed}, "amount": {v.print.Typed(l.Amount)}, "currency": {string(c)}, "description": {l.Description}, "reference": {l.Reference},
		"realm": {l.Realm}, "redirectUrl": {l.RedirectURL}, "capture": {l.Capture}, "latePolicy": {l.LatePolicy}, "uses": {usesOnce}, "life": {"604800"}}
	if l.PayerChooses() {
		out.Set("kind", kindChosen)
		out.Set("amount", "")
		out.Set("minAmount", v.print.Typed(money.Of(l.MinMinor, c)))
		out.Set("maxAmount", v.print.Typed(money.Of(l.MaxMinor, c)))
	}
	switch {
	case l.MaxUses == 0:
		out.Set("uses", usesUnlimited)
	case l.MaxUses > 1:
		out.Set("uses", usesSeveral)
		out.Set("maxUses", strconv.FormatInt(l.MaxUses, 10))
	}
	lived := l.ExpiresAt.Sub(l.CreatedAt)
	for _, each := range lives {
		if lived <= each.after+time.Minute {
			out.Set("life", strconv.FormatInt(int64(each.after/time.Second), 10))
			break
		}
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(l.Metadata)) {
		lines = append(lines, k+"="+l.Metadata[k])
	}
	out.Set("metadata", strings.Join(lines, "\n"))
	return out
}

// linkCurrencies are those that a link of this mode can be paid in.
func (v *visit) linkCurrencies() []money.Currency {
	var out []money.Currency
	for _, m := range v.methods() {
		if !m.Enabled || m.Test != (v.mode == link.Test) {
			continue
		}
		for _, c := range m.Currencies {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

func (v *visit) showNewLink(status int, values url.Values, wrong problems) error {
	p := newLinkView{Action: v.path("links"), Preview: v.path("links", "preview"), Attempt: newAttempt(), filled: filled{values, wrong},
		Head:  head{Title: v.print.T("links.new"), Back: button{Text: v.print.T("links.title"), Href: v.path("links")}},
		Shown: v.preview(values), Methods: v.accountPath("methods")}
	if typed := values.Get("attempt"); attemptOK(typed) {
		p.Attempt = typed // a form that was refused was not carried out
	}
	for _, c := range v.linkCurrencies() {
		p.Currencies = append(p.Currencies, option{string(c), string(c)})
	}
	p.NoMethod = len(p.Currencies) == 0
	for _, each := range lives {
		p.Lives = append(p.Lives, option{strconv.FormatInt(int64(each.after/time.Second), 10), v.print.T(each.key)})
	}
	p.Late = []option{{link.LateAccept, v.print.T("links.late.accept")}, {link.LateHold, v.print.T("links.late.hold")}, {link.LateRefund, v.print.T("links.late.refund")}}
	p.More = values.Get("redirectUrl")+values.Get("realm")+values.Get("metadata") != "" || values.Get("capture") == link.CaptureManual ||
		values.Get("latePolicy") != link.LateAccept || slices.ContainsFunc(wrong, func(e fieldError) bool { return slices.Contains(furtherFields, e.Field) })
	return v.render(status, p.Head.Title, newLinkPage(p))
}

var furtherFields = []string{"redirectUrl", "capture", "latePolicy", "realm", "metadata"}

// previewLink is the payer's page in small, for a form that is being filled in. It
// changes nothing.
func (d *Dashboard) previewLink(v *visit) error {
	values, err := v.form()
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, v.print.T("links.preview"), previewPart(v.preview(values)))
}

// preview reads a form leniently: what is not right yet is left out.
func (v *visit) preview(values url.Values) preview {
	p := preview{Payee: v.account.Name, Description: strings.TrimSpace(values.Get("description")), Reference: strings.TrimSpace(values.Get("reference"))}
	c, err := money.ParseCurrency(values.Get("currency"))
	if err != nil {
		return p
	}
	amount := func(name string) string {
		a, err := i18n.ReadAmount(values.Get(name), c)
		if err != nil || a.Minor == 0 {
			return ""
		}
		return v.print.Amount(a)
	}
	if p.Chosen = values.Get("kind") == kindChosen; p.Chosen {
		low, high := amount("minAmount"), amount("maxAmount")
		switch {
		case low != "" && high != "":
			p.Limits = v.print.T("links.between", "Low", low, "High", high)
		case high != "":
			p.Limits = v.print.T("payments.atMost", "Amount", high)
		}
	} else {
		p.Amount = amount("amount")
	}
	if s, err := strconv.ParseInt(values.Get("life"), 10, 64); err == nil && s > 0 && s <= int64(link.MaxLife/time.Second) {
		p.Ends = v.d.Now().Add(time.Duration(s) * time.Second)
	}
	return p
}

// createLink makes the link of the form, once, and shows it.
func (d *Dashboard) createLink(v *visit) error {
	values, err := v.form()
	if err != nil {
		return err
	}
	if values.Get("show") != "" { // the button without a script: the preview alone
		return v.showNewLink(http.StatusOK, values, nil)
	}
	if v.mode == link.Live && v.account.TestOnly {
		return merchant.ErrUnconfirmed
	}
	wish, wrong := v.wish(values)
	if len(wrong) > 0 {
		return v.showNewLink(http.StatusUnprocessableEntity, values, wrong)
	}
	var made link.Link
	replayed, err := v.once(d.Records.Links, shapeLink, func(t *idempotency.Ticket) (err error) {
		wish.Ticket = t
		made, err = d.Links.Create(v.Context(), wish)
		return err
	})
	if err != nil {
		if wrong := v.problems(err); wrong != nil {
			for i := range wrong {
				if wrong[i].Field == "expiresInSeconds" {
					wrong[i].Field = "life"
				}
			}
			return v.showNewLink(http.StatusUnprocessableEntity, values, wrong)
		}
		return err
	}
	if replayed != nil {
		if made.ID, err = madeLink(replayed); err != nil {
			return err
		}
	}
	return v.redirect(v.path("links", made.ID), "good", v.print.T("links.said.created"))
}

// wish reads the form into what the box of links takes. It only refuses what the
// box could not name by the form's own fields.
func (v *visit) wish(values url.Values) (link.CreateRequest, problems) {
	get := func(name string) string { return strings.TrimSpace(values.Get(name)) }
	r := link.CreateRequest{Account: v.account.ID, Mode: v.mode, Payee: v.account.Name, Methods: v.methods(), Currency: get("currency"),
		Description: get("description"), Reference: get("reference"), Realm: get("realm"), RedirectURL: get("redirectUrl"), Capture: get("capture"), LatePolicy: get("latePolicy")}
	var wrong problems
	amount := func(name string) string { return v.amountIn(r.Currency, name, get(name), &wrong) }
	if values.Get("kind") == kindChosen {
		r.MinAmount, r.MaxAmount = amount("minAmount"), amount("maxAmount")
		if r.MaxAmount == "" {
			wrong = append(wrong, fieldError{"maxAmount", v.print.T("links.wrong.max")})
		}
	} else if r.Amount = amount("amount"); r.Amount == "" {
		wrong = append(wrong, fieldError{"amount", v.print.T("links.wrong.amount")})
	}
	switch values.Get("uses") {
	case usesUnlimited:
		r.MaxUsesNull = true
	case usesSeveral:
		n, err := strconv.ParseInt(get("maxUses"), 10, 64)
		if err != nil || n < 1 || n > link.MaxUsesLimit {
			wrong = append(wrong, fieldError{"maxUses", v.print.T("common.fault.uses")})
		}
		r.MaxUses = &n
	}
	s, err := strconv.ParseInt(get("life"), 10, 64)
	if err != nil {
		wrong = append(wrong, fieldError{"life", v.print.T("common.fault.expiry")})
	}
	r.ExpiresInSeconds = &s
	for line := range strings.Lines(values.Get("metadata")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		k, value, ok := strings.Cut(line, "=")
		if !ok {
			wrong = append(wrong, fieldError{"metadata", v.print.T("links.wrong.metadata")})
			break
		}
		if r.Metadata == nil {
			r.Metadata = map[string]string{}
		}
		r.Metadata[strings.TrimSpace(k)] = strings.TrimSpace(value)
	}
	return r, wrong
}
