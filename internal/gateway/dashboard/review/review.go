package review

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/risk"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/payment"
)

// Routes returns the section's pages and changes.
func (d *Pages) Routes() []frame.Route {
	const one = "/dashboard/{mode}/payments/{id}"
	return []frame.Route{
		frame.Get("/dashboard/{mode}/review", "review", d.on((*Pages).listReviews)),
		frame.Get(one+"/approve", "review", d.on(asks(approveAsking))),
		frame.Post(one+"/approve", "review", d.on(decides(approveAsking, payment.ReviewApproved, "review.said.approved"))),
		frame.Get(one+"/decline", "review", d.on(asks(declineAsking))),
		frame.Post(one+"/decline", "review", d.on(decides(declineAsking, payment.ReviewDeclined, "review.said.declined"))),
		frame.Get(one+"/fraud", "review", d.on(asks(fraudAsking))),
		frame.Post(one+"/fraud", "review", d.on(decides(fraudAsking, payment.ReviewRefunded, "review.said.refunded"))),
		frame.Post(one+"/mark", "payments", d.on((*Pages).mark)),
		frame.Get(one+"/disputes", "payments", d.on((*Pages).askDispute)),
		frame.Post(one+"/disputes", "payments", d.on((*Pages).recordDispute)),
		frame.Get(one+"/disputes/{dispute}", "payments", d.on(asks(disputeAsking))),
		frame.Post(one+"/disputes/{dispute}", "payments", d.on((*Pages).moveDispute)),
	}
}

// The views of the queue.
const (
	viewOpen     = ""
	viewClosed   = "closed"
	viewDisputes = "disputes"
)

// reviewView is one view of the queue.
type reviewView struct {
	Head  parts.Head
	Tabs  []parts.Tab
	Table parts.Table
	Keys  bool   // the rows take keys
	Live  string // where the script asks what is new
	News  string
}

// listReviews shows the queue: payments that wait for a verdict, decided ones, and
// disputes. Rows come from the analytics store, which is behind by its consumer's lag.
// Each payment is read again, so one that was just decided is not shown as waiting.
func (d *Pages) listReviews(v *visit) error {
	if d.Fraud.Analyst == nil {
		return risk.Unavailable()
	}

	r := v.Reads()
	// seen is the digest of the rows that the script shows.
	view := r.Choice("view", func(s string) bool { return s == viewClosed || s == viewDisputes })
	before, seen := r.Text("before"), r.Text("seen")
	if wrong := r.End(); wrong != nil {
		return v.Refuse(wrong, v.Path("review"))
	}

	q := history.Query{Account: v.Account.ID, Mode: v.Mode, Before: before, Limit: frame.PageSize}
	switch view {
	case viewClosed:
		q.Review = history.Closed
	case viewDisputes:
		q.Disputed = true
	default:
		view, q.Review = viewOpen, payment.ReviewOpen
	}

	page, err := d.Fraud.Analyst.Rows(v.Context(), q)
	if err != nil {
		return err
	}

	now := digestRows(page.Rows)
	// Nothing has changed: the script keeps its rows, and with them the reader's place and
	// focus.
	if v.Partial() && seen == now {
		v.Writer.WriteHeader(http.StatusNoContent)
		return nil
	}

	items, err := v.fresh(page.Rows)
	if err != nil {
		return err
	}

	p := reviewView{Head: parts.Head{Title: v.Print.T("review.title"), Lead: v.Print.T("review.lead")}, Tabs: v.reviewTabs(view)}
	switch view {
	case viewDisputes:
		p.Table = v.disputesTable(items)
	case viewClosed:
		p.Table = v.closedTable(items)
	default:
		// The news are read out by screen readers, but not when the page is first opened.
		p.Table, p.News = v.openTable(items), ""
		p.Keys = len(p.Table.Rows) > 0
		if n := len(p.Table.Rows); v.Partial() && n > 0 {
			p.News = v.Print.N("review.news", n)
		}
	}

	// Only the first page is kept up to date. Further pages are older payments, which
	// nobody waits for.
	query := url.Values{}
	if view != viewOpen {
		query.Set("view", view)
	}
	if before != "" {
		p.Table.Pager.Newest = v.Path("review") + frame.AsQuery(query)
	} else {
		query.Set("seen", now)
		p.Live = v.Path("review") + frame.AsQuery(query)
		query.Del("seen")
	}

	if page.Next != "" {
		query.Set("before", page.Next)
		p.Table.Pager.Older = v.Path("review") + frame.AsQuery(query)
	}
	if v.Partial() {
		return v.Render(http.StatusOK, p.Head.Title, reviewLive(p))
	}

	return v.Render(http.StatusOK, p.Head.Title, reviewPage(p))
}

// digestRows returns a digest of what a queue shows, by which the script sees that nothing
// has changed.
func digestRows(rows []history.Row) string {
	h := sha256.New()
	for _, r := range rows {
		// The sequence number changes with every change of a payment. A hash never fails to
		// be written to.
		_, _ = fmt.Fprintf(h, "%s %d\n", r.ID, r.Seq)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// fresh returns the present state of the rows' payments. It omits those of the other mode.
func (v *visit) fresh(rows []history.Row) ([]payment.Payment, error) {
	out := make([]payment.Payment, 0, len(rows))
	for _, r := range rows {
		// One read for each row. A page has few rows, and a wrong status here would lead to
		// a second verdict.
		p, err := v.d.Payments.GetPayment(v.Context(), v.Account.ID, r.ID)
		if err != nil {
			return nil, err
		}
		if p.Mode == v.Mode {
			out = append(out, p)
		}
	}
	return out, nil
}

// reviewTabs returns the views of the queue.
func (v *visit) reviewTabs(view string) []parts.Tab {
	at := v.Path("review")
	return []parts.Tab{
		{Text: v.Print.T("review.tab.open"), Href: at, Current: view == viewOpen},
		{Text: v.Print.T("review.tab.closed"), Href: at + "?view=" + viewClosed, Current: view == viewClosed},
		{Text: v.Print.T("review.tab.disputes"), Href: at + "?view=" + viewDisputes, Current: view == viewDisputes},
	}
}

// openTable returns the payments that wait, with how long they still can. It omits those
// that were decided a moment ago.
func (v *visit) openTable(items []payment.Payment) parts.Table {
	t := parts.Table{ID: "review-table", Caption: v.Print.T("review.tab.open"), CaptionHidden: true,
		Columns: []parts.Column{{Label: v.Print.T("payments.amount")}, {Label: v.Print.T("review.score")}, {Label: v.Print.T("review.reason")},
			{
				Label: v.Print.T("payments.payer"),
			}, {Label: v.Print.T("review.age")}, {Label: v.Print.T("review.left")}, {Label: v.Print.T("review.action")}},
		Empty: parts.Empty{Icon: "check", Headline: v.Print.T("review.none"), Lead: v.Print.T("review.noneLead")}}
	names := v.ruleNames(items)
	for _, p := range items {
		if p.Risk.Review != payment.ReviewOpen {
			continue // decided a moment ago
		}
		// A test payment lives by its own clock.
		now := p.At(v.d.Now())
		t.Rows = append(
			t.Rows,
			parts.Row{ID: p.ID, Href: v.Path("payments", p.ID), Cells: []templ.Component{parts.Sum(p.Amount), v.scoreCell(p.Risk),
				parts.Text(
					v.whyText(p.Risk, names),
				), slip.PayerCell(p), parts.Unbroken(v.span(now.Sub(p.HeldSince()))), v.leftCell(p.HoldEnds().Sub(now)),
				actionsCell(v.verdictButtons(p, "review"))}},
		)
	}
	return t
}

// closedTable returns the payments that were decided.
func (v *visit) closedTable(items []payment.Payment) parts.Table {
	t := parts.Table{ID: "review-table", Caption: v.Print.T("review.tab.closed"), CaptionHidden: true,
		Columns: []parts.Column{
			{Label: v.Print.T("payments.amount")},
			{Label: v.Print.T("review.decision")},
			{Label: v.Print.T("payments.status")},
			{Label: v.Print.T("review.reason")},
			{Label: v.Print.T("payments.payer")},
			{Label: v.Print.T("review.decided"), Number: true},
		},
		Empty: parts.Empty{Icon: "flag", Headline: v.Print.T("review.noneClosed"), Lead: v.Print.T("review.noneClosedLead")}}
	names := v.ruleNames(items)
	for _, p := range items {
		t.Rows = append(
			t.Rows,
			parts.Row{
				ID:   p.ID,
				Href: v.Path("payments", p.ID),
				Cells: []templ.Component{parts.Sum(p.Amount), parts.BadgePart(v.reviewBadge(p.Risk.Review)),
					parts.BadgePart(
						slip.Badge(v.Visit, p.Status),
					), parts.Text(v.whyText(p.Risk, names)), slip.PayerCell(p), parts.When(p.Risk.ReviewedAt)},
			},
		)
	}
	return t
}

// span returns a duration in its largest whole unit: days from two days on, hours from two
// hours on, and otherwise minutes.
func (v *visit) span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return v.Print.N("review.days", int(d/day))
	case d >= 2*time.Hour:
		return v.Print.N("review.hours", int(d/time.Hour))
	}
	return v.Print.N("review.minutes", int(max(d, 0)/time.Minute))
}

// leftCell returns the time until a hold ends. Less than a day is marked, and not only by
// its color.
func (v *visit) leftCell(d time.Duration) templ.Component {
	switch {
	case d <= 0:
		return parts.BadgePart(parts.Badge{Text: v.Print.T("review.ended"), Tone: "bad"})
	case d < 24*time.Hour:
		return parts.BadgePart(parts.Badge{Text: v.span(d), Tone: "wait"})
	}
	return parts.Unbroken(v.span(d))
}

// scoreCell returns a score in its color, or a dash.
func (v *visit) scoreCell(r payment.Risk) templ.Component {
	s := scoreText(v.Print, r)
	if s == "" {
		return parts.Text("–")
	}
	return parts.BadgePart(parts.Badge{Text: s, Tone: scoreTone(r)})
}

// reviewWords has the words and the tone of each state of a review.
var reviewWords = map[string]struct{ key, tone string }{
	payment.ReviewOpen:     {"review.state.open", "wait"},
	payment.ReviewApproved: {"review.state.approved", "good"},
	payment.ReviewDeclined: {"review.state.declined", "quiet"},
	payment.ReviewRefunded: {"review.state.refunded", "bad"},
	payment.ReviewLapsed:   {"review.state.lapsed", "quiet"},
}

// reviewBadge returns the state of a review; an unknown one is shown by its name.
func (v *visit) reviewBadge(state string) parts.Badge {
	w, ok := reviewWords[state]
	if !ok {
		return parts.Badge{Text: state, Tone: "quiet"}
	}
	return parts.Badge{Text: v.Print.T(w.key), Tone: w.tone}
}

// besideTimeout bounds what a page shows beside its payment: without it the page is
// shown all the same.
const besideTimeout = 2 * time.Second

// ruleNames returns the names of the rules in the payments, by id. Without the rulebook
// the id of a rule is shown.
func (v *visit) ruleNames(items []payment.Payment) map[string]string {
	// Most payments are decided without a rule. Then the rules are not read.
	wanted := false
	for _, p := range items {
		wanted = wanted || p.Risk.Rule != "" || len(p.Risk.Shadow) > 0
	}
	if !wanted || v.d.Fraud.Rulebook == nil {
		return nil
	}

	ctx, cancel := context.WithTimeout(v.Context(), besideTimeout)
	defer cancel()
	rules, err := v.d.Fraud.Rulebook.Rules(ctx, v.Account.ID, v.Mode)
	if err != nil {
		// The names are a courtesy. Their failure must not hide the payments.
		v.d.Log.WarnContext(v.Context(), "the names of rules could not be read; their ids are shown", "error", err)
		return nil
	}

	names := make(map[string]string, len(rules))
	for _, r := range rules {
		names[r.ID] = r.Name
	}
	return names
}

// nameOf returns the name of a rule, or its id.
func nameOf(names map[string]string, id string) string {
	if n := names[id]; n != "" {
		return n
	}
	return id
}

// whyText returns why a payment was decided as it was.
func (v *visit) whyText(r payment.Risk, names map[string]string) string {
	switch r.Why {
	case "rule":
		return v.Print.T("review.why.rule", "Rule", nameOf(names, r.Rule), "Version", versionText(r.Version))
	case "list":
		return v.Print.T("review.why.list")
	case "shield":
		return v.Print.T("review.why.shield")
	case "policy":
		return v.Print.T("review.why.policy")
	case "default":
		return v.Print.T("review.why.default")
	}
	return r.Why
}

// verdictButtons returns links to the pages that ask for a verdict. from is the page to
// which the reader returns.
func (v *visit) verdictButtons(p payment.Payment, from string) []parts.Button {
	to := func(verb string) string {
		at := v.Path("payments", p.ID, verb)
		// The query says where the reader came from, so that a verdict leads back there.
		if from != "" {
			at += "?from=" + from
		}
		return at
	}
	var out []parts.Button
	if p.Risk.Review == payment.ReviewOpen {
		out = append(out,
			parts.Button{Text: v.Print.T("review.approve"), Href: to("approve"), Kind: "small", Attrs: parts.Attr("data-key", "a")},
			parts.Button{Text: v.Print.T("review.decline"), Href: to("decline"), Kind: "small", Attrs: parts.Attr("data-key", "d")})
	}

	if canRefundAsFraud(p) {
		out = append(out, parts.Button{Text: v.Print.T("review.refund"), Href: to("fraud"), Kind: "small", Attrs: parts.Attr("data-key", "f")})
	}
	return out
}

// canRefundAsFraud reports whether the payment can be returned as fraud: it waits in
// review, or something of it can be refunded that no dispute claims.
func canRefundAsFraud(p payment.Payment) bool {
	return p.Risk.Review == payment.ReviewOpen || (p.CanRefund() == nil && p.Undisputed().Minor > 0)
}

// verdictAsking returns the page that asks before a verdict. If the reader came from the
// queue, the page leads back to it.
func verdictAsking(v *frame.Visit, p payment.Payment, verb, title, lead, ok, kind, icon string) parts.Asking {
	a := slip.NewAsking(v, p, verb)
	if v.Param("from") == "review" {
		// The form keeps it, too.
		a.Action += "?from=review"
		back := parts.Button{Text: v.Print.T("review.title"), Href: v.Path("review")}
		a.Head.Back, a.Back.Href = back, back.Href
	}
	a.Head.Title, a.Lead = title, lead
	a.OK = parts.Button{Text: ok, Kind: kind, Icon: icon}
	return a
}

// approveAsking asks before a held payment is approved, which captures it unless the
// merchant captures by hand.
func approveAsking(v *frame.Visit, p payment.Payment) (parts.Asking, bool) {
	lead := v.Print.T("review.approveLead", "Amount", p.Amount)
	// Such a payment stays authorized after its approval.
	if p.Capture == "manual" {
		lead = v.Print.T("review.approveLeadManual", "Amount", p.Amount)
	}
	return verdictAsking(
		v,
		p,
		"approve",
		v.Print.T("review.approveTitle"),
		lead,
		v.Print.T("review.approveOK"),
		"primary",
		"check",
	), p.Risk.Review == payment.ReviewOpen
}

// declineAsking asks before a held payment is declined, which voids it.
func declineAsking(v *frame.Visit, p payment.Payment) (parts.Asking, bool) {
	return verdictAsking(v, p, "decline", v.Print.T("review.declineTitle"), v.Print.T("review.declineLead", "Amount", p.Amount),
		v.Print.T("review.declineOK"), "danger", "cross"), p.Risk.Review == payment.ReviewOpen
}

// fraudAsking asks before a payment is returned as fraud. Its form carries what could be
// refunded, which sumStands compares.
func fraudAsking(v *frame.Visit, p payment.Payment) (parts.Asking, bool) {
	lead := v.Print.T("review.refundHeldLead", "Amount", p.Amount)
	// A held payment is voided in whole. Of a captured one, only what no dispute claims is
	// refunded.
	if p.CapturedMinor > 0 {
		lead = v.Print.T("review.refundLead", "Amount", p.Undisputed())
	}
	a := verdictAsking(v, p, "fraud", v.Print.T("review.refundTitle"), lead, v.Print.T("review.refundOK"), "danger", "flag")
	a.Hidden = []parts.Hidden{{Name: slip.FieldSeen, Value: p.Undisputed().Decimal()}}
	return a, canRefundAsFraud(p)
}

// asks returns the handler of a page that asks.
func asks(make slip.Asker) func(*Pages, *visit) error {
	return func(_ *Pages, v *visit) error { return v.d.Desk.Ask(v.Visit, make, nil) }
}

// decides returns the handler of a verdict. The record of the form is part of the verdict's
// commit, so a form that is sent several times is one verdict, even after a crash.
func decides(make slip.Asker, verdict, message string) func(*Pages, *visit) error {
	return func(d *Pages, v *visit) error {
		if _, err := v.Posted(); err != nil {
			return err
		}
		id := v.PathValue("id")
		_, err := v.Once(d.Records, slip.Shape, func(t *idempotency.Ticket) error {
			// Within Once, so that a form that was already processed is not refused because
			// of its own effect.
			if err := v.sumStands(id, verdict); err != nil {
				return err
			}
			_, err := d.Transactions.Review(v.Context(), v.Account.ID, v.Mode, id, verdict, v.User.ID, t)
			return err
		})
		if err != nil {
			return v.d.Desk.AskAgain(v.Visit, make, err)
		}
		return v.Redirect(v.backTo(id), "good", v.Print.T(message))
	}
}

// backTo returns where a reader goes after a verdict: to the queue if they came from there,
// and else to the payment.
func (v *visit) backTo(id string) string {
	if v.Param("from") == "review" {
		return v.Path("review")
	}
	return v.Path("payments", id)
}

// mark stores a person's label of a payment. It moves no money and can be taken back, so it
// does not ask first.
func (d *Pages) mark(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}

	id := v.PathValue("id")
	_, err = v.Once(d.Records, slip.Shape, func(t *idempotency.Ticket) error {
		_, err := d.Transactions.Mark(v.Context(), v.Account.ID, v.Mode, id, form.Get("label"), v.User.ID, t)
		return err
	})
	// There is no form to show beside it: the payment's page says what is wrong.
	if wrong := v.Problems(err); err != nil && wrong != nil {
		return v.Redirect(v.Path("payments", id), "bad", wrong[0].Text)
	}
	if err != nil {
		return err
	}

	return v.Redirect(v.Path("payments", id), "good", v.Print.T("review.said.marked"))
}

// sumStands returns refundable_amount_changed for a verdict that refunds if what its page
// showed has changed. It reads before the commit, but a change in between is harmless: the
// verdict refunds only what is left then.
func (v *visit) sumStands(id, verdict string) error {
	if verdict != payment.ReviewRefunded {
		return nil
	}
	p, err := v.d.Payments.GetPayment(v.Context(), v.Account.ID, id)
	if err != nil || p.Mode != v.Mode {
		return err // Review says so itself
	}
	// A held payment has no such sum, and one that was refunded as fraud is left to Review.
	now := p.Undisputed()
	if p.CapturedMinor > 0 && p.Risk.Review != payment.ReviewRefunded && v.PostForm.Get(slip.FieldSeen) != now.Decimal() {
		return fault.New(
			fault.KindConflict,
			"refundable_amount_changed",
			"The refundable amount is now %s. Read the payment and decide again.",
			now,
		)
	}
	return nil
}
