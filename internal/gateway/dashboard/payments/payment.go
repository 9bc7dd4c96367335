package payments

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// The shapes of recorded answers, as gateway/api has them.
const (
	shapeRefund = "refund"
)

// paymentView is one payment with all that is known of it.
type paymentView struct {
	Head     parts.Head
	Amount   money.Amount
	Badge    parts.Badge
	Explains string // what the status means, and what to do
	Live     string // asks again while something is under way; "" when nothing is
	Steps    []paymentStep
	Facts    []parts.Fact
	Metadata []parts.Fact
	Refunds  parts.Table
	Moves    parts.Table
	Risk     templ.Component // its risk, its review and its disputes
	Listing  []parts.Button  // what of the payment can be put on a list
}

// paymentStep is an entry of the log as the page shows it.
type paymentStep struct {
	Text, Tone, Icon string
	Actor            string
	Reason           string
	Detail           string // the code and the name that belong to the reason
	English          bool   // the reason, in whatever language the page is
	At               time.Time
	Amount           money.Amount // no currency: none
}

func (d *Pages) showPayment(v *visit) error {
	p, err := v.d.Desk.Read(v.Visit)
	if err != nil {
		return err
	}
	if seen := v.Param("seen"); v.Partial() && seen == digest([]payment.Payment{p}) {
		v.Writer.WriteHeader(http.StatusNoContent)
		return nil
	}
	l, err := v.linkOf(p)
	if err != nil {
		return err
	}
	view := v.paymentView(p, l)
	title := v.Print.T("payments.one", "Amount", p.Amount)
	if v.Partial() {
		return v.Render(http.StatusOK, title, paymentLive(view))
	}
	return v.Render(http.StatusOK, title, paymentPage(view))
}

func (v *visit) paymentView(p payment.Payment, l link.Link) paymentView {
	view := paymentView{
		Amount:   p.Amount,
		Badge:    slip.Badge(v.Visit, p.Status),
		Explains: v.explainStatus(p),
		Steps:    v.steps(p),
		Facts:    v.paymentFacts(p, l),
		Risk:     v.d.Beside.Risk(v.Visit, p),
		Head: parts.Head{
			Title:   v.Print.Amount(p.Amount),
			Back:    parts.Button{Text: v.Print.T("payments.title"), Href: v.Path("payments")},
			Actions: v.paymentActions(p),
		},
	}
	if !p.Settled() {
		view.Live = v.Path("payments", p.ID) + "?seen=" + digest([]payment.Payment{p})
	}
	view.Listing = v.d.Beside.Listing(v.Visit, p)
	for _, k := range slices.Sorted(maps.Keys(p.Metadata)) {
		view.Metadata = append(view.Metadata, parts.Fact{Label: k, Value: parts.Text(p.Metadata[k])})
	}
	c := p.Amount.Currency
	view.Refunds = parts.Table{
		ID:      "refunds",
		Caption: v.Print.T("payments.refunds"),
		Columns: []parts.Column{
			{Label: v.Print.T("payments.amount")},
			{Label: v.Print.T("payments.status")},
			{Label: v.Print.T("payments.date"), Number: true},
		},
	}
	for _, r := range p.Refunds {
		view.Refunds.Rows = append(
			view.Refunds.Rows,
			parts.Row{
				ID:    r.ID,
				Cells: []templ.Component{parts.Sum(money.Of(r.Minor, c)), parts.BadgePart(v.refundBadge(r)), parts.When(r.CreatedAt)},
			},
		)
	}
	view.Moves = parts.Table{ID: "moves", Caption: v.Print.T("payments.ledger"),
		Columns: []parts.Column{
			{Label: v.Print.T("balance.kind")},
			{Label: v.Print.T("balance.available"), Number: true},
			{Label: v.Print.T("balance.pending"), Number: true},
			{Label: v.Print.T("payments.date"), Number: true},
		}}
	for _, e := range p.Log {
		for _, t := range e.Transfers {
			view.Moves.Rows = append(view.Moves.Rows, parts.Row{ID: t.ID, Cells: slip.TransferCells(v.Visit, p.Account, t, e.At)})
		}
	}
	return view
}

func (v *visit) paymentActions(p payment.Payment) []parts.Button {
	var out []parts.Button
	if p.CanCapture() == nil {
		words := v.Print.T("payments.capture")
		if p.CapturedMinor > 0 {
			words = v.Print.T("payments.accept")
		}
		out = append(out, parts.Button{Text: words, Href: v.Path("payments", p.ID, "capture"), Kind: "primary", Icon: "check"})
	}
	if p.CanRefund() == nil {
		out = append(out, parts.Button{Text: v.Print.T("payments.refund"), Href: v.Path("payments", p.ID, "refund"), Icon: "refund"})
	}
	if p.CanVoid() == nil && p.Risk.Review != payment.ReviewOpen { // a review offers to decline instead
		out = append(out, parts.Button{Text: v.Print.T("payments.void"), Href: v.Path("payments", p.ID, "void"), Kind: "danger", Icon: "cross"})
	}
	return out
}

// explainStatus says what is going on, where the status alone leaves a question.
func (v *visit) explainStatus(p payment.Payment) string {
	if p.Risk.Review == payment.ReviewOpen {
		return v.Print.T("review.heldLead")
	}
	switch p.Status.Public() {
	case payment.Processing:
		return v.Print.T("payments.why.processing")
	case payment.RequiresAction:
		return v.Print.T("payments.why.requiresAction")
	case payment.Unknown:
		return v.Print.T("payments.why.unknown")
	case payment.Authorized:
		return v.Print.T("payments.why.authorized")
	case payment.Late:
		return v.Print.T("payments.why.late")
	case payment.Review:
		return v.Print.T("payments.why.review")
	case payment.Declined:
		return v.declineText(p.DeclineCode, p.DeclineMessage)
	case payment.Canceled:
		return v.Print.T("payments.why.canceled")
	default:
		return ""
	}
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

// declineText returns why the issuer declined, in words for the merchant. For a code that
// the catalog does not know, it returns the issuer's message.
func (v *visit) declineText(code, message string) string {
	if key, ok := declineKeys[code]; ok {
		return v.Print.T(key)
	}
	return message
}

func (v *visit) refundBadge(r payment.Refund) parts.Badge {
	switch r.Status {
	case payment.RefundSucceeded:
		return parts.Badge{Text: v.Print.T("payments.refund.succeeded"), Tone: "good"}
	case payment.RefundFailed:
		return parts.Badge{Text: v.Print.T("payments.refund.failed"), Tone: "bad"}
	default: // pending
		return parts.Badge{Text: v.Print.T("payments.refund.pending"), Tone: "wait"}
	}
}

func (v *visit) paymentFacts(p payment.Payment, l link.Link) []parts.Fact {
	var out []parts.Fact
	add := func(key string, value templ.Component) {
		out = append(out, parts.Fact{Label: v.Print.T(key), Value: value})
	}
	if p.CapturedMinor > 0 {
		add("payments.captured", parts.Sum(p.Captured()))
	}
	if p.RefundedMinor > 0 {
		add("payments.refunded", parts.Sum(p.Refunded()))
	}
	if p.PayerName != "" {
		add("payments.payer", parts.Text(p.PayerName))
	}
	if p.PayerEmail != "" {
		add("payments.email", parts.Text(p.PayerEmail))
	}
	if p.CardLast4 != "" {
		add("payments.card", parts.Text(slip.CardName(p.CardBrand)+" ···· "+p.CardLast4))
	}
	if l.ID != "" {
		words := l.Description
		if words == "" {
			words = v.Print.T("payments.itsLink")
		}
		add("payments.link", parts.Linked(v.Path("links", l.ID), words))
	}
	if p.Reference != "" {
		add("payments.reference", parts.Text(p.Reference))
	}
	if p.Realm != "" {
		add("payments.realm", parts.Text(p.Realm))
	}
	add("payments.issuer", parts.Text(slip.IssuerName(p.Issuer)))
	if p.IssuerReference != "" {
		add("payments.issuerReference", parts.Code(p.IssuerReference))
	}
	add("payments.date", parts.When(p.CreatedAt))
	add("payments.id", parts.Code(p.ID))
	return out
}

// steps tells the log, oldest first.
func (v *visit) steps(p payment.Payment) []paymentStep {
	c := p.Amount.Currency
	var out []paymentStep
	var before payment.Entry
	people := v.people(p)
	for _, e := range p.Log {
		s := paymentStep{At: e.At, Actor: cmp.Or(people[e.By], v.actor(e.Actor))}
		if people[e.By] != "" {
			e.By = "" // the name says it
		}
		s.Reason, s.Detail, s.English = v.reason(e)
		if strings.HasPrefix(e.Event, "fraud.") || strings.HasPrefix(e.Event, "dispute.") {
			s.Text, s.Tone, s.Icon = v.d.Beside.Step(v.Visit, before, e)
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

// people returns the names of the users and API keys of the account, if the payment's log refers to
// any. If they cannot be read, the log shows ids: a page about money does not fail for a name.
func (v *visit) people(p payment.Payment) map[string]string {
	if !slices.ContainsFunc(p.Log, func(e payment.Entry) bool { return id.Valid(id.User, e.By) || id.Valid(id.Key, e.By) }) {
		return nil
	}
	people, err := v.People()
	if err != nil {
		v.d.Log.WarnContext(v.Context(), "names of users and keys are missing on a payment's page", "error", err)
	}
	return people
}

func (v *visit) actor(name string) string {
	switch name {
	case "payer":
		return v.Print.T("payments.actor.payer")
	case "merchant":
		return v.Print.T("payments.actor.merchant")
	case "issuer":
		return v.Print.T("payments.actor.issuer")
	}
	return v.Print.T("payments.actor.system")
}

func (v *visit) stepWords(p payment.Payment, e payment.Entry) (words, tone, icon string) {
	if e.Refund != "" {
		switch e.Event {
		case "refund.created":
			if r, _ := p.RefundByID(e.Refund); r.AllowedBy != "" {
				return v.Print.T("payments.step.refundDisputed"), "wait", "refund"
			}
			return v.Print.T("payments.step.refundAsked"), "wait", "refund"
		case "refund.succeeded":
			return v.Print.T("payments.step.refunded"), "good", "refund"
		default:
			return v.Print.T("payments.step.refundFailed"), "bad", "cross"
		}
	}
	switch e.To {
	case payment.Created:
		if e.From == payment.None {
			return v.Print.T("payments.step.submitted"), "quiet", "flag"
		}
		return v.Print.T("payments.step.notSent"), "quiet", "clock"
	case payment.Processing:
		return v.Print.T("payments.step.sent"), "quiet", "card"
	case payment.RequiresAction:
		return v.Print.T("payments.step.challenge"), "wait", "lock"
	case payment.Unknown:
		return v.Print.T("payments.step.unknown"), "wait", "clock"
	case payment.Authorized:
		if e.From == payment.Capturing || e.From == payment.Voiding {
			return v.Print.T("payments.step.refused"), "bad", "cross"
		}
		return v.Print.T("payments.step.authorized"), "good", "check"
	case payment.Capturing:
		return v.Print.T("payments.step.capturing"), "quiet", "clock"
	case payment.Voiding:
		return v.Print.T("payments.step.voiding"), "quiet", "clock"
	case payment.Succeeded:
		return v.Print.T("payments.step.succeeded"), "good", "check"
	case payment.Declined:
		return v.Print.T("payments.step.declined"), "bad", "cross"
	case payment.Canceled:
		return v.Print.T("payments.step.canceled"), "quiet", "cross"
	case payment.Late:
		return v.Print.T("payments.step.late"), "wait", "clock"
	case payment.Review:
		return v.Print.T("payments.step.review"), "bad", "flag"
	default:
		return slip.Badge(v.Visit, p.Status).Text, "quiet", "clock"
	}
}

func (d *Pages) askRefund(v *visit) error { return v.d.Desk.Ask(v.Visit, refundAsking, nil) }

func (d *Pages) askCapture(v *visit) error { return v.d.Desk.Ask(v.Visit, captureAsking, nil) }

func (d *Pages) askVoid(v *visit) error { return v.d.Desk.Ask(v.Visit, voidAsking, nil) }

func refundAsking(v *frame.Visit, p payment.Payment) (parts.Asking, bool) {
	a := slip.NewAsking(v, p, "refund")
	a.Head.Title, a.Lead = v.Print.T("payments.refundTitle"), v.Print.T("payments.refundLead")
	a.OK = parts.Button{Text: v.Print.T("payments.refundOK"), Kind: "primary", Icon: "refund"}
	a.Amount = slip.AmountField(v, v.Print.T("payments.refundAmount"), p.Refundable())
	free := p.Undisputed()
	a.Amount.Value = v.Print.Typed(free)
	a.Hidden = []parts.Hidden{{Name: slip.FieldSeen, Value: free.Decimal()}}
	return a, p.CanRefund() == nil
}

func captureAsking(v *frame.Visit, p payment.Payment) (parts.Asking, bool) {
	a := slip.NewAsking(v, p, "capture")
	a.OK = parts.Button{Text: v.Print.T("payments.captureOK"), Kind: "primary", Icon: "check"}
	if p.CapturedMinor > 0 {
		a.Head.Title, a.Lead = v.Print.T("payments.acceptTitle"), v.Print.T("payments.acceptLead")
		a.OK.Text = v.Print.T("payments.accept")
		a.Hidden = saidSum(p.Captured())
		return a, p.CanCapture() == nil
	}
	a.Head.Title, a.Lead = v.Print.T("payments.captureTitle"), v.Print.T("payments.captureLead")
	a.Amount = slip.AmountField(v, v.Print.T("payments.captureAmount"), p.Authorized())
	return a, p.CanCapture() == nil
}

func voidAsking(v *frame.Visit, p payment.Payment) (parts.Asking, bool) {
	a := slip.NewAsking(v, p, "void")
	a.Head.Title, a.Lead = v.Print.T("payments.voidTitle"), v.Print.T("payments.voidLead", "Amount", p.Amount)
	a.OK = parts.Button{Text: v.Print.T("payments.voidOK"), Kind: "danger", Icon: "cross"}
	return a, p.CanVoid() == nil
}
