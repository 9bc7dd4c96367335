package dashboard

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// The shapes of recorded answers, as gateway/api has them.
const (
	shapePayment = "payment"
	shapeRefund  = "refund"
	shapeLink    = "link"
)

// paymentView is one payment with all that is known of it.
type paymentView struct {
	Head     head
	Amount   money.Amount
	Badge    badge
	Explains string // what the status means, and what to do
	Live     string // asks again while something is under way; "" when nothing is
	Steps    []paymentStep
	Facts    []fact
	Metadata []fact
	Refunds  table
	Moves    table
	Desk     deskView
	Listing  []button // what of the payment can be put on a list
}

// paymentStep is an entry of the log, told to a person.
type paymentStep struct {
	Text, Tone, Icon string
	Actor, Reason    string
	At               time.Time
	Amount           money.Amount // no currency: none
}

// readPayment reads the payment of the address, of this account and mode. Whoever
// looks at a stuck one sees to it that somebody asks the issuer, as in the API.
func (v *visit) readPayment() (payment.Payment, error) {
	p, err := v.d.Payments.GetPayment(v.Context(), v.account.ID, v.PathValue("id"))
	if err != nil {
		return p, err
	}
	if p.Mode != v.mode {
		return p, fault.NotFound("payment")
	}
	return v.d.Transactions.Repair(v.Context(), p), nil
}

func (d *Dashboard) showPayment(v *visit) error {
	p, err := v.readPayment()
	if err != nil {
		return err
	}
	if seen := v.param("seen"); v.partial() && seen == digest([]payment.Payment{p}) {
		v.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	l, err := v.linkOf(p)
	if err != nil {
		return err
	}
	view := v.paymentView(p, l)
	title := v.print.T("payments.one", "Amount", p.Amount)
	if v.partial() {
		return v.render(http.StatusOK, title, paymentLive(view))
	}
	return v.render(http.StatusOK, title, paymentPage(view))
}

func (v *visit) paymentView(p payment.Payment, l link.Link) paymentView {
	view := paymentView{Amount: p.Amount, Badge: v.paymentBadge(p), Explains: v.explainStatus(p), Steps: v.steps(p), Facts: v.paymentFacts(p, l), Desk: v.deskView(p),
		Head: head{Title: v.print.Amount(p.Amount), Back: button{Text: v.print.T("payments.title"), Href: v.path("payments")}, Actions: v.paymentActions(p)}}
	if !settled(p) {
		view.Live = v.path("payments", p.ID) + "?seen=" + digest([]payment.Payment{p})
	}
	view.Listing = v.listing(p)
	for _, k := range slices.Sorted(maps.Keys(p.Metadata)) {
		view.Metadata = append(view.Metadata, fact{k, text(p.Metadata[k])})
	}
	c := p.Amount.Currency
	view.Refunds = table{ID: "refunds", Caption: v.print.T("payments.refunds"), Columns: []column{{Label: v.print.T("payments.amount")}, {Label: v.print.T("payments.status")}, {Label: v.print.T("payments.date"), Number: true}}}
	for _, r := range p.Refunds {
		view.Refunds.Rows = append(view.Refunds.Rows, tableRow{ID: r.ID, Cells: []templ.Component{sum(money.Of(r.Minor, c)), badgePart(v.refundBadge(r)), when(r.CreatedAt)}})
	}
	view.Moves = table{ID: "moves", Caption: v.print.T("payments.ledger"),
		Columns: []column{{Label: v.print.T("balance.kind")}, {Label: v.print.T("balance.available"), Number: true}, {Label: v.print.T("balance.pending"), Number: true}, {Label: v.print.T("payments.date"), Number: true}}}
	for _, e := range p.Log {
		for _, t := range e.Transfers {
			view.Moves.Rows = append(view.Moves.Rows, tableRow{ID: t.ID, Cells: v.transferCells(p.Account, t, e.At)})
		}
	}
	return view
}

// settled reports whether nothing happens to the payment by itself any more.
func settled(p payment.Payment) bool {
	switch p.Status {
	case payment.Processing, payment.RequiresAction, payment.Unknown, payment.Capturing, payment.Voiding, payment.Created:
		return false
	}
	return !slices.ContainsFunc(p.Refunds, func(r payment.Refund) bool { return r.Status == payment.RefundPending })
}

func canCapture(p payment.Payment) bool {
	return (p.Status == payment.Authorized || p.Status == payment.Late) && p.Risk.Review != payment.ReviewOpen
}

func canVoid(p payment.Payment) bool {
	return p.CapturedMinor == 0 && p.Risk.Review != payment.ReviewOpen && (p.Status == payment.Authorized || p.Status == payment.Late || p.Status == payment.Review)
}

func canRefund(p payment.Payment) bool {
	open := p.Status == payment.Succeeded || p.Status == payment.PartiallyRefunded || (p.Status == payment.Late && p.CapturedMinor > 0)
	return open && p.Refundable() > 0 && len(p.Refunds) < payment.MaxRefunds
}

func (v *visit) paymentActions(p payment.Payment) []button {
	var out []button
	if canCapture(p) {
		words := v.print.T("payments.capture")
		if p.CapturedMinor > 0 {
			words = v.print.T("payments.accept")
		}
		out = append(out, button{Text: words, Href: v.path("payments", p.ID, "capture"), Kind: "primary", Icon: "check"})
	}
	if canRefund(p) {
		out = append(out, button{Text: v.print.T("payments.refund"), Href: v.path("payments", p.ID, "refund"), Icon: "refund"})
	}
	if canVoid(p) {
		out = append(out, button{Text: v.print.T("payments.void"), Href: v.path("payments", p.ID, "void"), Kind: "danger", Icon: "cross"})
	}
	return out
}

// explainStatus says what is going on, where the status alone leaves a question.
func (v *visit) explainStatus(p payment.Payment) string {
	if p.Risk.Review == payment.ReviewOpen {
		return v.print.T("review.heldLead")
	}
	switch p.Status.Public() {
	case payment.Processing:
		return v.print.T("payments.why.processing")
	case payment.RequiresAction:
		return v.print.T("payments.why.requiresAction")
	case payment.Unknown:
		return v.print.T("payments.why.unknown")
	case payment.Authorized:
		return v.print.T("payments.why.authorized")
	case payment.Late:
		return v.print.T("payments.why.late")
	case payment.Review:
		return v.print.T("payments.why.review")
	case payment.Declined:
		return v.declineText(p.DeclineCode, p.DeclineMessage)
	case payment.CanceledS:
		return v.print.T("payments.why.canceled")
	}
	return ""
}

var declineKeys = map[string]string{
	issuer.CodeDeclined:          "payments.decline.declined",
	issuer.CodeInsufficientFunds: "payments.decline.funds",
	issuer.CodeLost:              "payments.decline.lost",
	issuer.CodeStolen:            "payments.decline.stolen",
	issuer.CodeExpired:           "payments.decline.expired",
	issuer.CodeIncorrectCVC:      "payments.decline.cvc",
	issuer.CodeProcessing:        "payments.decline.processing",
	issuer.CodeAuthentication:    "payments.decline.authentication",
	payment.CodeBlocked:          "review.blockedLead",
}

// declineText is why the issuer declined, in words for the merchant. What the
// catalogue does not know is told as the issuer said it.
func (v *visit) declineText(code, message string) string {
	if key, ok := declineKeys[code]; ok {
		return v.print.T(key)
	}
	return message
}

func (v *visit) refundBadge(r payment.Refund) badge {
	switch r.Status {
	case payment.RefundSucceeded:
		return badge{v.print.T("payments.refund.succeeded"), "good"}
	case payment.RefundFailed:
		return badge{v.print.T("payments.refund.failed"), "bad"}
	}
	return badge{v.print.T("payments.refund.pending"), "wait"}
}

func (v *visit) paymentFacts(p payment.Payment, l link.Link) []fact {
	var out []fact
	add := func(key string, value templ.Component) { out = append(out, fact{v.print.T(key), value}) }
	if p.CapturedMinor > 0 {
		add("payments.captured", sum(money.Of(p.CapturedMinor, p.Amount.Currency)))
	}
	if p.RefundedMinor > 0 {
		add("payments.refunded", sum(money.Of(p.RefundedMinor, p.Amount.Currency)))
	}
	if p.PayerName != "" {
		add("payments.payer", text(p.PayerName))
	}
	if p.PayerEmail != "" {
		add("payments.email", text(p.PayerEmail))
	}
	if p.CardLast4 != "" {
		add("payments.card", text(cardName(p.CardBrand)+" ···· "+p.CardLast4))
	}
	if l.ID != "" {
		words := l.Description
		if words == "" {
			words = v.print.T("payments.itsLink")
		}
		add("payments.link", linked(v.path("links", l.ID), words))
	}
	if p.Reference != "" {
		add("payments.reference", text(p.Reference))
	}
	if p.Realm != "" {
		add("payments.realm", text(p.Realm))
	}
	add("payments.issuer", text(issuerName(p.Issuer)))
	if p.IssuerReference != "" {
		add("payments.issuerReference", code(p.IssuerReference))
	}
	add("payments.date", when(p.CreatedAt))
	add("payments.id", code(p.ID))
	return out
}

// issuerName is how an issuer is called here.
func issuerName(name string) string {
	if name == "simulator" {
		return "Simulator"
	}
	return name
}

// steps tells the log, oldest first.
func (v *visit) steps(p payment.Payment) []paymentStep {
	c := p.Amount.Currency
	var out []paymentStep
	var before payment.Entry
	for _, e := range p.Log {
		s := paymentStep{At: e.At, Actor: v.actor(e.Actor), Reason: e.Reason}
		if strings.HasPrefix(e.Event, "fraud.") || strings.HasPrefix(e.Event, "dispute.") {
			s.Text, s.Tone, s.Icon = v.deskStep(before, e)
		} else {
			s.Text, s.Tone, s.Icon = v.stepWords(p, e)
		}
		if e.Event == "fraud.flagged" || (e.To == payment.Declined && p.DeclineCode == payment.CodeBlocked) {
			s.Actor = v.actor("") // found while the payer or the issuer was heard, and not their doing
		}
		before = e
		if r, ok := p.RefundByID(e.Refund); ok && e.Refund != "" {
			s.Amount = money.Of(r.Minor, c)
		}
		out = append(out, s)
	}
	return out
}

func (v *visit) actor(name string) string {
	switch name {
	case "payer":
		return v.print.T("payments.actor.payer")
	case "merchant":
		return v.print.T("payments.actor.merchant")
	case "issuer":
		return v.print.T("payments.actor.issuer")
	}
	return v.print.T("payments.actor.system")
}

func (v *visit) stepWords(p payment.Payment, e payment.Entry) (words, tone, icon string) {
	if e.Refund != "" {
		switch e.Event {
		case "refund.created":
			if r, _ := p.RefundByID(e.Refund); r.AllowedBy != "" {
				return v.print.T("payments.step.refundDisputed"), "wait", "refund"
			}
			return v.print.T("payments.step.refundAsked"), "wait", "refund"
		case "refund.succeeded":
			return v.print.T("payments.step.refunded"), "good", "refund"
		}
		return v.print.T("payments.step.refundFailed"), "bad", "cross"
	}
	switch e.To {
	case payment.Created:
		if e.From == payment.None {
			return v.print.T("payments.step.submitted"), "quiet", "flag"
		}
		return v.print.T("payments.step.notSent"), "quiet", "clock"
	case payment.Processing:
		return v.print.T("payments.step.sent"), "quiet", "card"
	case payment.RequiresAction:
		return v.print.T("payments.step.challenge"), "wait", "lock"
	case payment.Unknown:
		return v.print.T("payments.step.unknown"), "wait", "clock"
	case payment.Authorized:
		if e.From == payment.Capturing || e.From == payment.Voiding {
			return v.print.T("payments.step.refused"), "bad", "cross"
		}
		return v.print.T("payments.step.authorized"), "good", "check"
	case payment.Capturing:
		return v.print.T("payments.step.capturing"), "quiet", "clock"
	case payment.Voiding:
		return v.print.T("payments.step.voiding"), "quiet", "clock"
	case payment.Succeeded:
		return v.print.T("payments.step.succeeded"), "good", "check"
	case payment.Declined:
		return v.print.T("payments.step.declined"), "bad", "cross"
	case payment.CanceledS:
		return v.print.T("payments.step.canceled"), "quiet", "cross"
	case payment.Late:
		return v.print.T("payments.step.late"), "wait", "clock"
	case payment.Review:
		return v.print.T("payments.step.review"), "bad", "flag"
	}
	return v.print.T(statusWords[p.Status.Public()].key), "quiet", "clock"
}

// asking is a page that asks before money moves.
type asking struct {
	Head     head
	Lead     string
	Notes    []string // what the reader must know before the answer
	Action   string
	Attempt  string
	Hidden   []hidden
	Amount   field // no label: the whole, and no other
	Problems problems
	OK, Back button
}

// hidden is a value that a form carries: what the page said.
type hidden struct{ Name, Value string }

func (v *visit) asking(p payment.Payment, verb string) asking {
	a := asking{Action: v.path("payments", p.ID, verb), Attempt: newAttempt(), Back: button{Text: v.print.T("payments.back"), Href: v.path("payments", p.ID)},
		Head: head{Back: button{Text: v.print.T("payments.one", "Amount", p.Amount), Href: v.path("payments", p.ID)}}}
	return a
}

// amountField is a sum in the payment's currency, at most all of it.
func (v *visit) amountField(label string, all money.Amount) field {
	f := field{ID: "amount", Label: label + " (" + string(all.Currency) + ")", Value: v.print.Typed(all), InputMode: "decimal", Max: 40,
		Hint: v.print.T("payments.atMost", "Amount", all), Attrs: attr("autocomplete", "off")}
	if all.Currency.Exponent() == 0 {
		f.InputMode = "numeric"
	}
	return f
}

func (d *Dashboard) askRefund(v *visit) error { return v.askFor(refundAsking, nil) }

func (d *Dashboard) askCapture(v *visit) error { return v.askFor(captureAsking, nil) }

func (d *Dashboard) askVoid(v *visit) error { return v.askFor(voidAsking, nil) }

// askFor shows the page that asks; again, with what was wrong, after a refusal. A
// payment that cannot be handled so (any more) is shown as it is.
func (v *visit) askFor(make func(*visit, payment.Payment) (asking, bool), wrong problems) error {
	p, err := v.readPayment()
	if err != nil {
		return err
	}
	a, possible := make(v, p)
	if !possible {
		tone, words := "wait", v.print.T("payments.notPossible")
		if len(wrong) > 0 {
			tone, words = "bad", wrong[0].Text
		}
		return v.redirect(v.path("payments", p.ID), tone, words)
	}
	status := http.StatusOK
	if len(wrong) > 0 {
		a.Problems, a.Amount.Error, status = wrong, wrong.of("amount"), http.StatusUnprocessableEntity
		if v.PostForm.Has("amount") {
			a.Amount.Value = v.PostForm.Get("amount")
		}
	}
	return v.render(status, a.Head.Title, askingPage(a))
}

func refundAsking(v *visit, p payment.Payment) (asking, bool) {
	a := v.asking(p, "refund")
	a.Head.Title, a.Lead = v.print.T("payments.refundTitle"), v.print.T("payments.refundLead")
	a.OK = button{Text: v.print.T("payments.refundOK"), Kind: "primary", Icon: "refund"}
	a.Amount = v.amountField(v.print.T("payments.refundAmount"), money.Of(p.Refundable(), p.Amount.Currency))
	free := money.Of(p.Undisputed(), p.Amount.Currency)
	a.Amount.Value = v.print.Typed(free)
	a.Hidden = []hidden{{fieldSeen, free.Decimal()}}
	return a, canRefund(p)
}

func captureAsking(v *visit, p payment.Payment) (asking, bool) {
	a := v.asking(p, "capture")
	a.OK = button{Text: v.print.T("payments.captureOK"), Kind: "primary", Icon: "check"}
	if p.CapturedMinor > 0 {
		a.Head.Title, a.Lead = v.print.T("payments.acceptTitle"), v.print.T("payments.acceptLead")
		a.OK.Text = v.print.T("payments.accept")
		a.Hidden = saidSum(money.Of(p.CapturedMinor, p.Amount.Currency))
		return a, canCapture(p)
	}
	a.Head.Title, a.Lead = v.print.T("payments.captureTitle"), v.print.T("payments.captureLead")
	a.Amount = v.amountField(v.print.T("payments.captureAmount"), money.Of(p.AuthorizedMinor, p.Amount.Currency))
	return a, canCapture(p)
}

func voidAsking(v *visit, p payment.Payment) (asking, bool) {
	a := v.asking(p, "void")
	a.Head.Title, a.Lead = v.print.T("payments.voidTitle"), v.print.T("payments.voidLead", "Amount", p.Amount)
	a.OK = button{Text: v.print.T("payments.voidOK"), Kind: "danger", Icon: "cross"}
	return a, canVoid(p)
}

// transferCells tells a transfer by what it does to the merchant's funds.
func (v *visit) transferCells(account string, t ledger.Transfer, at time.Time) []templ.Component {
	available, pending := t.Effect(account)
	return []templ.Component{text(v.transferWords(t)), moved(money.Of(available, t.Currency)), moved(money.Of(pending, t.Currency)), when(at)}
}

func (v *visit) transferWords(t ledger.Transfer) string {
	switch t.Kind {
	case ledger.KindAuthorise:
		return v.print.T("balance.authorise")
	case ledger.KindCapture:
		return v.print.T("balance.capture")
	case ledger.KindRelease:
		return v.print.T("balance.release")
	case ledger.KindRefund:
		switch t.Phase {
		case ledger.Pending:
			return v.print.T("balance.refundHeld")
		case ledger.Posted:
			return v.print.T("balance.refund")
		}
		return v.print.T("balance.refundBack")
	}
	return fmt.Sprint(t.Kind)
}
