package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/client"
)

// The commands about links, payments and events.

type linkCommands struct {
	Create createLink `cmd:"" help:"Create a link."`
	List   listLinks  `cmd:"" help:"List links, newest first."`
	Get    getLink    `cmd:"" help:"Show a link."`
	Cancel cancelLink `cmd:"" help:"Cancel an open link."`
}

type paymentCommands struct {
	List   listPayments  `cmd:"" help:"List payments, newest first; --watch follows changes."`
	Get    getPayment    `cmd:"" help:"Show a payment with its log and refunds."`
	Refund refundPayment `cmd:"" help:"Refund a payment, fully or in part."`
}

type eventCommands struct {
	List listEvents `cmd:"" help:"List events, oldest first."`
}

type createLink struct {
	remote
	Amount      string            `help:"Amount, such as 12.50."`
	MaxAmount   string            `help:"Maximum amount, if the payer chooses the amount."`
	MinAmount   string            `help:"Minimum amount, if the payer chooses the amount."`
	Currency    string            `help:"Currency." default:"EUR"`
	Description string            `help:"Description for the payer."`
	Reference   string            `help:"Your own reference."`
	Realm       string            `help:"Realm, to group payments."`
	Expires     string            `help:"When the link expires, such as 30m, 24h or 30d from now." placeholder:"TIME"`
	Uses        int64             `help:"How often it may be paid; 0 for no limit." default:"1"`
	Capture     string            `help:"Capture: automatic or manual." default:"automatic"`
	RedirectURL string            `help:"URL to which the payer returns." name:"redirect-url"`
	Metadata    map[string]string `help:"Metadata, NAME=VALUE; repeatable." mapsep:";" placeholder:"NAME=VALUE"`
	Key         string            `help:"Idempotency key: repeating the command creates no second link." name:"idempotency-key"`
}

func (l *createLink) call(ctx context.Context, c *console) error {
	request := client.CreateLink{
		Amount:      l.Amount,
		MaxAmount:   l.MaxAmount,
		MinAmount:   l.MinAmount,
		Currency:    l.Currency,
		Description: l.Description,
		Reference:   l.Reference,
		Realm:       l.Realm,
		Capture:     l.Capture,
		RedirectURL: l.RedirectURL,
		Metadata:    l.Metadata,
		MaxUses:     client.Uses(l.Uses),
	}
	if l.Uses == 0 {
		request.MaxUses = client.Unlimited
	}
	if l.Expires != "" {
		life, err := parseSpan(l.Expires)
		if err != nil {
			return err
		}
		request.ExpiresInSeconds = int64(life / time.Second)
	}
	var options []client.CallOption
	if l.Key != "" {
		options = append(options, client.IdempotencyKey(l.Key))
	}
	made, err := c.Links.Create(ctx, request, options...)
	if err != nil {
		return err
	}
	return c.print(made, "%s\n%s\nopen until %s", made.ID, made.URL, stamp(made.ExpiresAt))
}

// parseSpan parses a duration, which may contain days.
func parseSpan(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	var days int64
	rest := s
	if n, after, ok := strings.Cut(s, "d"); ok {
		if _, err := fmt.Sscanf(n, "%d", &days); err != nil || fmt.Sprint(days) != n || days < 0 || days > 10_000 {
			return 0, fmt.Errorf("%q is not a duration such as 90s, 30m, 24h or 30d", s)
		}
		rest = after
	}
	d := time.Duration(0)
	if rest != "" {
		var err error
		if d, err = time.ParseDuration(rest); err != nil {
			return 0, fmt.Errorf("%q is not a duration such as 90s, 30m, 24h or 30d", s)
		}
	}
	if d += time.Duration(days) * day; d <= 0 {
		return 0, fmt.Errorf("%q must be more than zero", s)
	}
	return d, nil
}

func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func money(amount, currency string) string { return amount + " " + currency }

// asked returns what a link requests.
func asked(l client.Link) string {
	if l.Amount != "" {
		return money(l.Amount, l.Currency)
	}
	return l.MinAmount + "–" + money(l.MaxAmount, l.Currency)
}

type listLinks struct {
	remote
	Status    string `help:"Only this status: open, paying, paid, expired or canceled."`
	Realm     string `help:"Only this realm."`
	Reference string `help:"Only this reference."`
	Limit     int    `help:"Maximum number." default:"20"`
}

func (l *listLinks) call(ctx context.Context, c *console) error {
	t := c.table("ID", "STATUS", "AMOUNT", "USES", "OPEN UNTIL", "REFERENCE")
	n := 0
	f := client.LinkFilter{Status: client.LinkStatus(l.Status), Realm: l.Realm, Reference: l.Reference, Limit: min(max(l.Limit, 1), 100)}
	for one, err := range c.Links.All(ctx, f) {
		if err != nil {
			return err
		}
		uses := fmt.Sprintf("%d/∞", one.Uses)
		if one.MaxUses != nil {
			uses = fmt.Sprintf("%d/%d", one.Uses, *one.MaxUses)
		}
		if err := t.row(one, one.ID, string(one.Status), asked(one), uses, stamp(one.ExpiresAt), one.Reference); err != nil {
			return err
		}
		if n++; n >= l.Limit {
			break
		}
	}
	return t.end()
}

type getLink struct {
	remote
	ID string `arg:"" help:"The link's id."`
}

func (l *getLink) call(ctx context.Context, c *console) error {
	one, err := c.Links.Get(ctx, l.ID)
	if err != nil {
		return err
	}
	return c.printLink(one)
}

func (c *console) printLink(l client.Link) error {
	return c.print(l, "%s  %s  %s\n%s\nopen until %s", l.ID, l.Status, asked(l), l.URL, stamp(l.ExpiresAt))
}

type cancelLink struct {
	remote
	ID string `arg:"" help:"The link's id."`
}

func (l *cancelLink) call(ctx context.Context, c *console) error {
	one, err := c.Links.Cancel(ctx, l.ID)
	if err != nil {
		return err
	}
	return c.printLink(one)
}

type listPayments struct {
	remote
	Watch  bool   `help:"Keep running, and show each payment that changes."`
	Status string `help:"Only this status."`
	Link   string `help:"Only this link."`
	Limit  int    `help:"Maximum number." default:"20"`
}

// paymentLine prints a payment in columns of fixed width, so that later lines align.
func (c *console) paymentLine(p client.Payment) error {
	card, why := "", p.Reference
	if p.Card != nil {
		card = p.Card.Brand + " " + p.Card.Last4
	}
	if p.Decline != nil {
		why = p.Decline.Code
	}
	return c.print(
		p,
		"%-19s  %-30s  %-18s  %14s  %-16s  %-19s  %s",
		stamp(p.UpdatedAt),
		p.ID,
		p.Status,
		money(p.Amount, p.Currency),
		printable(card),
		risk(p.Risk),
		printable(why),
	)
}

// risk returns a payment's score, if a model scored it, and the decision, or the state of the
// review that followed.
func risk(r *client.Risk) string {
	if r == nil || r.Action == "" {
		return ""
	}
	score, decided := "–", r.Action
	if r.Model != "" {
		score = strconv.Itoa(r.Score)
	}
	switch {
	case r.Review != "":
		decided = "review " + r.Review
	case r.Challenge && r.Action == "allow":
		decided = "request_3ds"
	}
	return fmt.Sprintf("%3s %s", score, decided)
}

// riskLines explain the decision, and list labels and verdicts since.
func (c *console) riskLines(p client.Payment) error {
	if r := p.Risk; r != nil && r.Action != "" {
		why := r.Why
		if r.Rule != "" {
			why += " " + r.Rule
		}
		if r.Version > 0 {
			why += fmt.Sprintf(" version %d", r.Version)
		}
		for _, v := range r.Values {
			why += ", " + v.Name + " = " + v.Value
		}
		if err := c.print(nil, "risk %s  by %s", strings.TrimSpace(risk(r)), printable(why)); err != nil {
			return err
		}
		if r.Label != "" {
			if err := c.print(nil, "marked as %s by %s at %s", r.Label, r.LabelledBy, stamp(r.LabelledAt)); err != nil {
				return err
			}
		}
	}
	for _, d := range p.Disputes {
		if err := c.print(d, "dispute %s  %s  %s  %s", d.ID, money(d.Amount, d.Currency), d.Reason, d.State); err != nil {
			return err
		}
	}
	return nil
}

func (l *listPayments) call(ctx context.Context, c *console) error {
	if !c.json {
		if err := c.print(nil, "%-19s  %-30s  %-18s  %14s  %-16s  %-19s  %s", "AT", "ID", "STATUS", "AMOUNT", "CARD", "RISK",
			"REFERENCE"); err != nil {
			return err
		}
	}
	list := func(int64) error {
		n := 0
		f := client.PaymentFilter{Status: client.PaymentStatus(l.Status), Link: l.Link, Limit: min(max(l.Limit, 1), 100)}
		for p, err := range c.Payments.All(ctx, f) {
			if err != nil {
				return err
			}
			if err := c.paymentLine(p); err != nil {
				return err
			}
			if n++; n >= l.Limit {
				break
			}
		}
		return nil
	}
	if !l.Watch {
		return list(0)
	}
	return l.watch(ctx, c, list)
}

// watch lists once the stream is open, so that nothing is missed in between.
func (l *listPayments) watch(ctx context.Context, c *console, list func(int64) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	listed := false
	o := client.StreamOptions{FromNow: true, Broken: func(err error, pause time.Duration) { c.say("%v; reconnecting in %s", err, pause) }}
	o.Opened = func(after int64) {
		if listed {
			return
		}
		listed = true
		if err := list(after); err != nil {
			stop(err)
		}
	}
	for e, err := range c.Events.Stream(ctx, o) {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			return err
		}
		if !strings.HasPrefix(e.Type, "payment.") {
			continue
		}
		p, err := e.Payment()
		if err != nil {
			return err
		}
		if (l.Status == "" || string(p.Status) == l.Status) && (l.Link == "" || p.Link == l.Link) {
			if err := c.paymentLine(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// reasonOf returns the reason of a log entry with its details.
func reasonOf(e client.LogEntry) string {
	return strings.Join(slices.DeleteFunc([]string{e.Reason, e.Code, e.Amount, e.Currency, e.By}, func(s string) bool { return s == "" }), " ")
}

type getPayment struct {
	remote
	ID string `arg:"" help:"The payment's id."`
}

func (g *getPayment) call(ctx context.Context, c *console) error {
	p, err := c.Payments.Get(ctx, g.ID)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(p, "")
	}
	if err := c.paymentLine(p.Payment); err != nil {
		return err
	}
	if err := c.riskLines(p.Payment); err != nil {
		return err
	}
	t := c.table("SEQ", "AT", "STATUS", "BY", "WHY")
	for _, e := range p.Log {
		if err := t.row(e, fmt.Sprint(e.Seq), stamp(e.At), e.To, e.Actor, reasonOf(e)); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	for _, r := range p.Refunds {
		if err := c.print(r, "refund %s  %s  %s %s", r.ID, money(r.Amount, r.Currency), r.Status, r.Code); err != nil {
			return err
		}
	}
	return nil
}

type refundPayment struct {
	remote
	ID     string `arg:"" help:"The payment's id."`
	Amount string `help:"Amount, such as 12.50, or all for everything left." required:""`
	Seen   string `help:"The refundable amount you saw; nothing is refunded if it has changed." name:"refundable-amount"`
	Allow  bool   `help:"Also refund disputed money, which the issuer may return as well." name:"allow-disputed"`
	Key    string `help:"Idempotency key: repeating the command creates no second refund." name:"idempotency-key"`
}

func (r *refundPayment) call(ctx context.Context, c *console) error {
	var options []client.CallOption
	if r.Key != "" {
		options = append(options, client.IdempotencyKey(r.Key))
	}
	if r.Seen != "" {
		options = append(options, client.RefundableAmount(r.Seen))
	}
	if r.Allow {
		options = append(options, client.AllowDisputed())
	}
	if r.Amount == client.All && r.Seen == "" { // the sum is fixed before any money moves
		p, err := c.Payments.Get(ctx, r.ID)
		if err != nil {
			return err
		}
		options = append(options, client.RefundableAmount(p.RefundableAmount))
	}
	done, err := c.Payments.Refund(ctx, r.ID, r.Amount, options...)
	if err != nil {
		return err
	}
	return c.print(done, "%s  %s  %s", done.ID, money(done.Amount, done.Currency), done.Status)
}

type listEvents struct {
	remote
	AfterSeq int64    `help:"Only events after this seq."`
	Types    []string `help:"Only these event types; all by default." placeholder:"TYPE"`
	Limit    int      `help:"Maximum number." default:"100"`
}

func (l *listEvents) call(ctx context.Context, c *console) error {
	t := c.table("SEQ", "AT", "TYPE", "ABOUT", "ID")
	n := 0
	for e, err := range c.Events.All(ctx, client.EventFilter{AfterSeq: l.AfterSeq, Types: l.Types, Limit: min(max(l.Limit, 1), 100)}) {
		if err != nil {
			return err
		}
		if err := t.row(e, fmt.Sprint(e.Seq), stamp(e.CreatedAt), e.Type, about(e), e.ID); err != nil {
			return err
		}
		if n++; n >= l.Limit {
			break
		}
	}
	return t.end()
}

// about returns the id of the event's object.
func about(e client.Event) string {
	var o struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(e.Data, &o) != nil {
		return ""
	}
	return o.ID
}

type clockCommands struct {
	Get     getClock     `cmd:"" help:"Show the account's test clock."`
	Advance advanceClock `cmd:"" help:"Advance the test clock; what expires or falls due by then does so now. It cannot go back."`
}

type getClock struct{ remote }

func (*getClock) call(ctx context.Context, c *console) error {
	k, err := c.Clock.Get(ctx)
	if err != nil {
		return err
	}
	return c.printClock(k)
}

func (c *console) printClock(k client.Clock) error {
	return c.print(k, "test clock at %s, %s ahead of real time", stamp(k.Now), time.Duration(k.AheadSeconds)*time.Second)
}

type advanceClock struct {
	remote
	By string `arg:"" help:"Duration, such as 90s, 12h or 30d."`
}

func (a *advanceClock) call(ctx context.Context, c *console) error {
	by, err := parseSpan(a.By)
	if err != nil {
		return err
	}
	k, err := c.Clock.Advance(ctx, by)
	if err != nil {
		return err
	}
	return c.printClock(k)
}
