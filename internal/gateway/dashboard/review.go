package dashboard

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
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

func reviewRoutes() []route {
	const one = "/dashboard/{mode}/payments/{id}"
	return []route{
		{method: http.MethodGet, path: "/dashboard/{mode}/review", room: "review", handle: (*Dashboard).listReviews},
		{method: http.MethodGet, path: one + "/approve", room: "review", handle: asks(approveAsking)},
		{method: http.MethodPost, path: one + "/approve", room: "review", handle: decides(approveAsking, payment.ReviewApproved, "review.said.approved")},
		{method: http.MethodGet, path: one + "/decline", room: "review", handle: asks(declineAsking)},
		{method: http.MethodPost, path: one + "/decline", room: "review", handle: decides(declineAsking, payment.ReviewDeclined, "review.said.declined")},
		{method: http.MethodGet, path: one + "/fraud", room: "review", handle: asks(fraudAsking)},
		{method: http.MethodPost, path: one + "/fraud", room: "review", handle: decides(fraudAsking, payment.ReviewRefunded, "review.said.refunded")},
		{method: http.MethodPost, path: one + "/mark", room: "payments", handle: (*Dashboard).mark},
		{method: http.MethodGet, path: one + "/disputes", room: "payments", handle: (*Dashboard).askDispute},
		{method: http.MethodPost, path: one + "/disputes", room: "payments", handle: (*Dashboard).recordDispute},
		{method: http.MethodGet, path: one + "/disputes/{dispute}", room: "payments", handle: asks(disputeAsking)},
		{method: http.MethodPost, path: one + "/disputes/{dispute}", room: "payments", handle: (*Dashboard).moveDispute},
	}
}

// The views of the queue.
const (
	viewOpen     = ""
	viewClosed   = "closed"
	viewDisputes = "disputes"
)

// reviewView is the queue.
type reviewView struct {
	Head  head
	Tabs  []tab
	Table table
	Keys  bool   // the rows take keys
	Live  string // where the script asks what is new
	News  string
}

var errNoAnalyst = fault.Unavailable("fraud_unavailable", time.Minute, nil, "The box that knows the risk of payments is not available now.")

// listReviews is the queue: what waits for a person, what was decided, and disputes.
// Rows come from the analytics store, which is behind by its consumer's lag; each
// payment is read anew, so what was decided a moment ago is not asked again.
func (d *Dashboard) listReviews(v *visit) error {
	if d.Fraud.Analyst == nil {
		return errNoAnalyst
	}
	r := v.reads()
	view := r.choice("view", func(s string) bool { return s == viewClosed || s == viewDisputes })
	before, seen := r.text("before"), r.text("seen")
	if wrong := r.end(); wrong != nil {
		return v.refuse(wrong, v.path("review"))
	}
	q := fraud.Query{Account: v.account.ID, Mode: v.mode, Before: before, Limit: pageSize}
	switch view {
	case viewClosed:
		q.Review = fraud.Closed
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
	if v.partial() && seen == now {
		v.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	items, err := v.fresh(page.Rows)
	if err != nil {
		return err
	}
	p := reviewView{Head: head{Title: v.print.T("review.title"), Lead: v.print.T("review.lead")}, Tabs: v.reviewTabs(view)}
	switch view {
	case viewDisputes:
		p.Table = v.disputesTable(items)
	case viewClosed:
		p.Table = v.closedTable(items)
	default:
		p.Table, p.News = v.openTable(items), ""
		p.Keys = len(p.Table.Rows) > 0
		if n := len(p.Table.Rows); v.partial() && n > 0 {
			p.News = v.print.N("review.news", n)
		}
	}
	query := url.Values{}
	if view != viewOpen {
		query.Set("view", view)
	}
	if before != "" {
		p.Table.Pager.Newest = v.path("review") + asQuery(query)
	} else {
		query.Set("seen", now)
		p.Live = v.path("review") + asQuery(query)
		query.Del("seen")
	}
	if page.Next != "" {
		query.Set("before", page.Next)
		p.Table.Pager.Older = v.path("review") + asQuery(query)
	}
	if v.partial() {
		return v.render(http.StatusOK, p.Head.Title, reviewLive(p))
	}
	return v.render(http.StatusOK, p.Head.Title, reviewPage(p))
}

func asQuery(q url.Values) string {
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// digestRows names what a queue shows.
func digestRows(rows []fraud.Row) string {
	h := sha256.New()
	for _, r := range rows {
		_, _ = fmt.Fprintf(h, "%s %d\n", r.ID, r.Seq)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// fresh are the payments of rows as they are now.
func (v *visit) fresh(rows []fraud.Row) ([]payment.Payment, error) {
	out := make([]payment.Payment, 0, len(rows))
	for _, r := range rows {
		p, err := v.d.Payments.GetPayment(v.Context(), v.account.ID, r.ID)
		if err != nil {
			return nil, err
		}
		if p.Mode == v.mode {
			out = append(out, p)
		}
	}
	return out, nil
}

func (v *visit) reviewTabs(view string) []tab {
	at := v.path("review")
	return []tab{
		{Text: v.print.T("review.tab.open"), Href: at, Current: view == viewOpen},
		{Text: v.print.T("review.tab.closed"), Href: at + "?view=" + viewClosed, Current: view == viewClosed},
		{Text: v.print.T("review.tab.disputes"), Href: at + "?view=" + viewDisputes, Current: view == viewDisputes},
	}
}

func (v *visit) openTable(items []payment.Payment) table {
	t := table{ID: "review-table", Caption: v.print.T("review.tab.open"), CaptionHidden: true,
		Columns: []column{{Label: v.print.T("payments.amount")}, {Label: v.print.T("review.score")}, {Label: v.print.T("review.reason")},
			{Label: v.print.T("payments.payer")}, {Label: v.print.T("review.age")}, {Label: v.print.T("review.left")}, {Label: v.print.T("review.action")}},
		Empty: empty{Icon: "check", Headline: v.print.T("review.none"), Lead: v.print.T("review.noneLead")}}
	names := v.ruleNames(items)
	for _, p := range items {
		if p.Risk.Review != payment.ReviewOpen {
			continue // decided a moment ago
		}
		now := p.At(v.d.Now())
		t.Rows = append(t.Rows, tableRow{ID: p.ID, Href: v.path("payments", p.ID), Cells: []templ.Component{sum(p.Amount), v.scoreCell(p.Risk),
			text(v.whyText(p.Risk, names)), payerCell(p), unbroken(v.span(now.Sub(p.HeldSince()))), v.leftCell(p.HoldEnds().Sub(now)),
			actionsCell(v.verdictButtons(p, "review"))}})
	}
	return t
}

func (v *visit) closedTable(items []payment.Payment) table {
	t := table{ID: "review-table", Caption: v.print.T("review.tab.closed"), CaptionHidden: true,
		Columns: []column{{Label: v.print.T("payments.amount")}, {Label: v.print.T("review.decision")}, {Label: v.print.T("payments.status")},
			{Label: v.print.T("review.reason")}, {Label: v.print.T("payments.payer")}, {Label: v.print.T("review.decided"), Number: true}},
		Empty: empty{Icon: "flag", Headline: v.print.T("review.noneClosed"), Lead: v.print.T("review.noneClosedLead")}}
	names := v.ruleNames(items)
	for _, p := range items {
		t.Rows = append(t.Rows, tableRow{ID: p.ID, Href: v.path("payments", p.ID), Cells: []templ.Component{sum(p.Amount), badgePart(v.reviewBadge(p.Risk.Review)),
			badgePart(v.paymentBadge(p)), text(v.whyText(p.Risk, names)), payerCell(p), when(p.Risk.ReviewedAt)}})
	}
	return t
}

// span is a length of time in its largest whole unit.
func (v *visit) span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return v.print.N("review.days", int(d/day))
	case d >= 2*time.Hour:
		return v.print.N("review.hours", int(d/time.Hour))
	}
	return v.print.N("review.minutes", int(max(d, 0)/time.Minute))
}

// leftCell is the time until a hold ends; what is short is marked by more than words.
func (v *visit) leftCell(d time.Duration) templ.Component {
	switch {
	case d <= 0:
		return badgePart(badge{v.print.T("review.ended"), "bad"})
	case d < 24*time.Hour:
		return badgePart(badge{v.span(d), "wait"})
	}
	return unbroken(v.span(d))
}

func (v *visit) scoreCell(r payment.Risk) templ.Component {
	s := scoreText(v.print, r)
	if s == "" {
		return text("–")
	}
	return badgePart(badge{s, scoreTone(r)})
}

var reviewWords = map[string]struct{ key, tone string }{
	payment.ReviewOpen:     {"review.state.open", "wait"},
	payment.ReviewApproved: {"review.state.approved", "good"},
	payment.ReviewDeclined: {"review.state.declined", "quiet"},
	payment.ReviewRefunded: {"review.state.refunded", "bad"},
	payment.ReviewLapsed:   {"review.state.lapsed", "quiet"},
}

func (v *visit) reviewBadge(state string) badge {
	w, ok := reviewWords[state]
	if !ok {
		return badge{state, "quiet"}
	}
	return badge{v.print.T(w.key), w.tone}
}

// ruleNames are the names of the rules that the payments name, by id. Without the
// rulebook a rule is told by its id.
func (v *visit) ruleNames(items []payment.Payment) map[string]string {
	wanted := false
	for _, p := range items {
		wanted = wanted || p.Risk.Rule != "" || len(p.Risk.Shadow) > 0
	}
	if !wanted || v.d.Fraud.Rulebook == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(v.Context(), besideTimeout)
	defer cancel()
	rules, err := v.d.Fraud.Rulebook.Rules(ctx, v.account.ID, v.mode)
	if err != nil {
		v.d.Log.WarnContext(v.Context(), "rules are shown by their ids", "error", err)
		return nil
	}
	names := make(map[string]string, len(rules))
	for _, r := range rules {
		names[r.ID] = r.Name
	}
	return names
}

// besideTimeout bounds what a page shows beside its payment: without it the page is
// shown all the same.
const besideTimeout = 2 * time.Second

func nameOf(names map[string]string, id string) string {
	if n := names[id]; n != "" {
		return n
	}
	return id
}

// whyText is why a payment was decided as it was.
func (v *visit) whyText(r payment.Risk, names map[string]string) string {
	switch r.Why {
	case "rule":
		return v.print.T("review.why.rule", "Rule", nameOf(names, r.Rule), "Version", versionText(r.Version))
	case "list":
		return v.print.T("review.why.list")
	case "shield":
		return v.print.T("review.why.shield")
	case "policy":
		return v.print.T("review.why.policy")
	case "default":
		return v.print.T("review.why.default")
	}
	return r.Why
}

// verdictButtons lead to the pages that ask. From is where the reader comes back to.
func (v *visit) verdictButtons(p payment.Payment, from string) []button {
	to := func(verb string) string {
		at := v.path("payments", p.ID, verb)
		if from != "" {
			at += "?from=" + from
		}
		return at
	}
	var out []button
	if p.Risk.Review == payment.ReviewOpen {
		out = append(out,
			button{Text: v.print.T("review.approve"), Href: to("approve"), Kind: "small", Attrs: attr("data-key", "a")},
			button{Text: v.print.T("review.decline"), Href: to("decline"), Kind: "small", Attrs: attr("data-key", "d")})
	}
	if canRefundAsFraud(p) {
		out = append(out, button{Text: v.print.T("review.refund"), Href: to("fraud"), Kind: "small", Attrs: attr("data-key", "f")})
	}
	return out
}

func canRefundAsFraud(p payment.Payment) bool {
	return p.Risk.Review == payment.ReviewOpen || (canRefund(p) && p.Undisputed() > 0)
}

// verdictAsking is the page that asks before a verdict.
func (v *visit) verdictAsking(p payment.Payment, verb, title, lead, ok, kind, icon string) asking {
	a := v.asking(p, verb)
	if v.param("from") == "review" {
		a.Action += "?from=review"
		back := button{Text: v.print.T("review.title"), Href: v.path("review")}
		a.Head.Back, a.Back.Href = back, back.Href
	}
	a.Head.Title, a.Lead = title, lead
	a.OK = button{Text: ok, Kind: kind, Icon: icon}
	return a
}

func approveAsking(v *visit, p payment.Payment) (asking, bool) {
	lead := v.print.T("review.approveLead", "Amount", p.Amount)
	if p.Capture == "manual" {
		lead = v.print.T("review.approveLeadManual", "Amount", p.Amount)
	}
	return v.verdictAsking(p, "approve", v.print.T("review.approveTitle"), lead, v.print.T("review.approveOK"), "primary", "check"), p.Risk.Review == payment.ReviewOpen
}

func declineAsking(v *visit, p payment.Payment) (asking, bool) {
	return v.verdictAsking(p, "decline", v.print.T("review.declineTitle"), v.print.T("review.declineLead", "Amount", p.Amount),
		v.print.T("review.declineOK"), "danger", "cross"), p.Risk.Review == payment.ReviewOpen
}

func fraudAsking(v *visit, p payment.Payment) (asking, bool) {
	lead := v.print.T("review.refundHeldLead", "Amount", p.Amount)
	if p.CapturedMinor > 0 {
		lead = v.print.T("review.refundLead", "Amount", money.Of(p.Undisputed(), p.Amount.Currency))
	}
	a := v.verdictAsking(p, "fraud", v.print.T("review.refundTitle"), lead, v.print.T("review.refundOK"), "danger", "flag")
	a.Hidden = []hidden{{fieldSeen, money.Of(p.Undisputed(), p.Amount.Currency).Decimal()}}
	return a, canRefundAsFraud(p)
}

// asks is the handler of a page that asks.
func asks(make func(*visit, payment.Payment) (asking, bool)) func(*Dashboard, *visit) error {
	return func(_ *Dashboard, v *visit) error { return v.askFor(make, nil) }
}

// decides is the handler of a verdict. The record of the form rides in the commit, so
// that a form sent five times is one verdict, whatever crashed in between.
func decides(make func(*visit, payment.Payment) (asking, bool), verdict, said string) func(*Dashboard, *visit) error {
	return func(d *Dashboard, v *visit) error {
		if _, err := v.form(); err != nil {
			return err
		}
		id := v.PathValue("id")
		_, err := v.once(d.Records.Transactions, shapePayment, func(t *idempotency.Ticket) error {
			if err := v.sumStands(id, verdict); err != nil {
				return err
			}
			_, err := d.Transactions.Review(v.Context(), v.account.ID, v.mode, id, verdict, v.user.ID, t)
			return err
		})
		if err != nil {
			return v.askAgain(make, err)
		}
		return v.redirect(v.backTo(id), "good", v.sayKey(said))
	}
}

// sayKey is a text whose key is given in a table of this package.
func (v *visit) sayKey(key string) string { return v.print.T(key) }

// backTo is where a reader goes after a verdict: the queue if they came from there.
func (v *visit) backTo(id string) string {
	if v.param("from") == "review" {
		return v.path("review")
	}
	return v.path("payments", id)
}

// mark keeps what a person says a payment was. It moves no money, and can be taken
// back, so it asks nothing first.
func (d *Dashboard) mark(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	id := v.PathValue("id")
	_, err = v.once(d.Records.Transactions, shapePayment, func(t *idempotency.Ticket) error {
		_, err := d.Transactions.Mark(v.Context(), v.account.ID, v.mode, id, form.Get("label"), v.user.ID, t)
		return err
	})
	if wrong := v.problems(err); err != nil && wrong != nil {
		return v.redirect(v.path("payments", id), "bad", wrong[0].Text)
	}
	if err != nil {
		return err
	}
	return v.redirect(v.path("payments", id), "good", v.print.T("review.said.marked"))
}
