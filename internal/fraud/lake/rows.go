package lake

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// eventHead is the part of every row that identifies the event.
type eventHead struct {
	Position int64  `parquet:"position"` // in the feed: one order for all tables
	EventID  string `parquet:"event_id"`
	Event    string `parquet:"event,dict"`
	At       int64  `parquet:"at,timestamp(microsecond)"`
	Account  string `parquet:"account,dict"`
	Mode     string `parquet:"mode,dict"`
	Seq      int64  `parquet:"seq"` // of the object: its last row by seq is its present state
}

// The rows, one type per table. Amounts are minor units of the currency; missing values are null.
type (
	linkRow struct {
		eventHead
		ID            string `parquet:"id"`
		Status        string `parquet:"status,dict"`
		Currency      string `parquet:"currency,dict"`
		AmountMinor   *int64 `parquet:"amount_minor,optional"` // null: the payer chooses
		MinMinor      *int64 `parquet:"min_minor,optional"`
		MaxMinor      *int64 `parquet:"max_minor,optional"`
		Realm         string `parquet:"realm,optional,dict"`
		Reference     string `parquet:"reference,optional"`
		PaymentMethod string `parquet:"payment_method,dict"`
		MaxUses       *int64 `parquet:"max_uses,optional"` // null: unlimited
		Uses          int64  `parquet:"uses"`
		Capture       string `parquet:"capture,dict"`
		LatePolicy    string `parquet:"late_policy,dict"`
		Form          string `parquet:"form,optional"`
		ExpiresAt     int64  `parquet:"expires_at,timestamp(microsecond)"`
		CreatedAt     int64  `parquet:"created_at,timestamp(microsecond)"`
	}
	paymentRow struct {
		eventHead
		ID            string `parquet:"id"`
		Link          string `parquet:"link"`
		Status        string `parquet:"status,dict"`
		Currency      string `parquet:"currency,dict"`
		AmountMinor   int64  `parquet:"amount_minor"`
		CapturedMinor int64  `parquet:"captured_minor"`
		RefundedMinor int64  `parquet:"refunded_minor"` // up to this event; refunds have events of their own
		DeclineCode   string `parquet:"decline_code,optional,dict"`
		ReviewReason  string `parquet:"review_reason,optional,dict"`
		Issuer        string `parquet:"issuer,dict"`
		Realm         string `parquet:"realm,optional,dict"`
		Reference     string `parquet:"reference,optional"`
		CardBrand     string `parquet:"card_brand,optional,dict"`
		CardBIN       string `parquet:"card_bin,optional,dict"`
		CardLast4     string `parquet:"card_last4,optional"`
		CardPrint     string `parquet:"card_fingerprint,optional"`
		PayerEmail    string `parquet:"payer_email,optional"`
		Action        string `parquet:"risk_action,optional,dict"`
		Challenge     bool   `parquet:"risk_challenge"`
		Why           string `parquet:"risk_why,optional,dict"`
		Rule          string `parquet:"risk_rule,optional,dict"`
		RuleVersion   int64  `parquet:"risk_rule_version,optional"`
		Score         *int64 `parquet:"risk_score,optional"` // null: no model scored it
		Basis         string `parquet:"risk_basis,optional,dict"`
		Model         string `parquet:"risk_model,optional,dict"`
		Review        string `parquet:"risk_review,optional,dict"`
		Label         string `parquet:"risk_label,optional,dict"`
		LabelledAt    int64  `parquet:"risk_labelled_at,optional,timestamp(microsecond)"`
		Address       string `parquet:"risk_address,optional"`
		Country       string `parquet:"risk_country,optional,dict"`
		RiskJSON      string `parquet:"risk_json,optional"` // all of it, in the API's form
		CreatedAt     int64  `parquet:"created_at,timestamp(microsecond)"`
		UpdatedAt     int64  `parquet:"updated_at,timestamp(microsecond)"`
	}
	transferRow struct {
		eventHead
		Payment   string `parquet:"payment"`
		Transfer  string `parquet:"transfer"`
		Leg       int64  `parquet:"leg"`
		Kind      string `parquet:"kind,dict"`
		Phase     string `parquet:"phase,dict"`
		Resolves  string `parquet:"resolves,optional"`
		HeldMinor int64  `parquet:"held_minor"`
		Currency  string `parquet:"currency,dict"`
		Book      string `parquet:"book_account,dict"`
		Minor     int64  `parquet:"minor"` // debits are positive; the legs of a transfer sum to zero
		// The effect of the transfer on the merchant's balance, on one leg of it.
		AvailableMinor int64 `parquet:"available_minor"`
		PendingMinor   int64 `parquet:"pending_minor"`
	}
	refundRow struct {
		eventHead
		ID          string `parquet:"id"`
		Payment     string `parquet:"payment"`
		Status      string `parquet:"status,dict"`
		Currency    string `parquet:"currency,dict"`
		AmountMinor int64  `parquet:"amount_minor"`
		Code        string `parquet:"code,optional,dict"`
		CreatedAt   int64  `parquet:"created_at,timestamp(microsecond)"`
	}
	disputeRow struct {
		eventHead
		ID            string `parquet:"id"`
		Payment       string `parquet:"payment"`
		State         string `parquet:"state,dict"`
		Reason        string `parquet:"reason,dict"`
		Currency      string `parquet:"currency,dict"`
		AmountMinor   int64  `parquet:"amount_minor"`
		Reference     string `parquet:"reference,optional"`
		EvidenceDueAt int64  `parquet:"evidence_due_at,optional,timestamp(microsecond)"`
		CreatedAt     int64  `parquet:"created_at,timestamp(microsecond)"`
		ClosedAt      int64  `parquet:"closed_at,optional,timestamp(microsecond)"`
	}
)

// data is the contents of an event, for every kind of object. The events carry objects in the API's
// form.
type data struct {
	ID        string         `json:"id"`
	Object    string         `json:"object"`
	Link      string         `json:"link"`
	Status    string         `json:"status"`
	Currency  money.Currency `json:"currency"`
	Amount    *string        `json:"amount"`
	Realm     string         `json:"realm"`
	Reference string         `json:"reference"`
	CreatedAt time.Time      `json:"createdAt"`
	UpdatedAt time.Time      `json:"updatedAt"`
	// Of a link.
	MinAmount     *string   `json:"minAmount"`
	MaxAmount     *string   `json:"maxAmount"`
	PaymentMethod string    `json:"paymentMethod"`
	MaxUses       *int64    `json:"maxUses"`
	Uses          int64     `json:"uses"`
	Capture       string    `json:"capture"`
	LatePolicy    string    `json:"latePolicy"`
	Form          string    `json:"form"`
	ExpiresAt     time.Time `json:"expiresAt"`
	// Of a payment.
	Captured     *string `json:"capturedAmount"`
	Refunded     *string `json:"refundedAmount"`
	ReviewReason string  `json:"reviewReason"`
	Issuer       string  `json:"issuer"`
	Decline      struct {
		Code string `json:"code"`
	} `json:"decline"`
	Card struct {
		Brand       string `json:"brand"`
		Last4       string `json:"last4"`
		BIN         string `json:"bin"`
		Fingerprint string `json:"fingerprint"`
	} `json:"card"`
	Payer struct {
		Email string `json:"email"`
	} `json:"payer"`
	Risk     json.RawMessage `json:"risk"`
	Disputes []dispute       `json:"disputes"`
	// Of a refund.
	Payment string `json:"payment"`
	Code    string `json:"code"`
}

// dispute is a dispute in an event of its payment. Older events have the amount in minor units,
// later ones as a decimal.
type dispute struct {
	ID            string    `json:"id"`
	Minor         int64     `json:"minor"`
	Amount        string    `json:"amount"`
	Reason        string    `json:"reason"`
	State         string    `json:"state"`
	Status        string    `json:"status"`
	Reference     string    `json:"reference"`
	EvidenceDueAt time.Time `json:"evidenceDueAt"`
	CreatedAt     time.Time `json:"createdAt"`
	ClosedAt      time.Time `json:"closedAt"`
}

// add puts the events' rows into their tables, and moves to. An event that is damaged is left out;
// one that is sound and does not fit the tables is an error, which names it.
func (g *gathered) add(events []stream.Event) error {
	for _, e := range events {
		if e.Damaged == nil {
			if err := g.one(e); err != nil {
				return fmt.Errorf("event %s of %s for the lake: %w", e.ID, e.Object, err)
			}
		} // verify reports an unreadable one; here it stops nothing
		g.to = e.Position
		g.events++
		g.bytes += len(e.Data)
	}
	return nil
}

// one puts the rows of one event into their tables: its transfers, and the object as the event
// shows it.
func (g *gathered) one(e stream.Event) error {
	t := eventHead{
		Position: e.Position,
		EventID:  e.ID,
		Event:    e.Type,
		At:       e.CreatedAt.UnixMicro(),
		Account:  e.Account,
		Mode:     e.Mode,
		Seq:      e.ObjectSeq,
	}
	day := e.CreatedAt.UTC().Format(time.DateOnly)
	g.transfers.add(day, transferRows(t, e)...)

	isLink, isPayment := id.Valid(id.Link, e.Object), id.Valid(id.Payment, e.Object)
	if !isLink && !isPayment {
		return nil // of an endpoint, or of another object without a table
	}

	var d data
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return err
	}

	switch {
	case isLink:
		row, err := d.link(t, e.Object)
		g.links.add(day, row)
		return err
	case d.Object == "refund":
		amount, err := minor(d.Amount, d.Currency)
		g.refunds.add(
			day,
			refundRow{
				eventHead:   t,
				ID:          d.ID,
				Payment:     e.Object,
				Status:      d.Status,
				Currency:    string(d.Currency),
				AmountMinor: amount,
				Code:        d.Code,
				CreatedAt:   d.CreatedAt.UnixMicro(),
			},
		)
		return err
	}

	row, err := d.payment(t, e.Object)
	if err != nil {
		return err
	}
	g.payments.add(day, row)
	if strings.HasPrefix(e.Type, "dispute.") {
		for _, x := range d.Disputes {
			row, err := x.row(t, e.Object, d.Currency)
			if err != nil {
				return err
			}
			g.disputes.add(day, row)
		}
	}
	return nil
}

// link returns the row of a link.
func (d data) link(t eventHead, id string) (r linkRow, err error) {
	r = linkRow{
		eventHead:     t,
		ID:            id,
		Status:        d.Status,
		Currency:      string(d.Currency),
		Realm:         d.Realm,
		Reference:     d.Reference,
		PaymentMethod: d.PaymentMethod,
		MaxUses:       d.MaxUses,
		Uses:          d.Uses,
		Capture:       d.Capture,
		LatePolicy:    d.LatePolicy,
		Form:          d.Form,
		ExpiresAt:     d.ExpiresAt.UnixMicro(),
		CreatedAt:     d.CreatedAt.UnixMicro(),
	}
	for from, to := range map[*string]**int64{d.Amount: &r.AmountMinor, d.MinAmount: &r.MinMinor, d.MaxAmount: &r.MaxMinor} {
		if from == nil {
			continue
		}
		n, err := minor(from, d.Currency)
		if err != nil {
			return r, err
		}
		*to = &n
	}

	return r, nil
}

// payment returns the row of a payment.
func (d data) payment(t eventHead, id string) (r paymentRow, err error) {
	var risk payment.Risk
	if len(d.Risk) > 0 {
		if err := json.Unmarshal(d.Risk, &risk); err != nil {
			return r, err
		}
	}

	r = paymentRow{
		eventHead:    t,
		ID:           id,
		Link:         d.Link,
		Status:       d.Status,
		Currency:     string(d.Currency),
		DeclineCode:  d.Decline.Code,
		ReviewReason: d.ReviewReason,
		Issuer:       d.Issuer,
		Realm:        d.Realm,
		Reference:    d.Reference,
		CardBrand:    d.Card.Brand,
		CardBIN:      d.Card.BIN,
		CardLast4:    d.Card.Last4,
		CardPrint:    d.Card.Fingerprint,
		PayerEmail:   d.Payer.Email,
		Action:       string(risk.Action),
		Challenge:    risk.Challenge,
		Why:          risk.Why,
		Rule:         risk.Rule,
		RuleVersion: int64(
			risk.Version,
		),
		Basis:      risk.Basis,
		Model:      risk.Model,
		Review:     risk.Review,
		Label:      risk.Label,
		LabelledAt: micros(risk.LabelledAt),
		Address:    risk.Address,
		Country:    risk.Country,
		RiskJSON:   string(d.Risk),
		CreatedAt:  d.CreatedAt.UnixMicro(),
		UpdatedAt:  d.UpdatedAt.UnixMicro(),
	}

	if risk.Model != "" {
		score := int64(risk.Score)
		r.Score = &score
	}
	if r.AmountMinor, err = minor(d.Amount, d.Currency); err != nil {
		return r, err
	}
	if r.CapturedMinor, err = minor(d.Captured, d.Currency); err != nil {
		return r, err
	}
	r.RefundedMinor, err = minor(d.Refunded, d.Currency)
	return r, err
}

// row returns the row of a dispute of a payment.
func (d dispute) row(t eventHead, of string, c money.Currency) (disputeRow, error) {
	r := disputeRow{
		eventHead:     t,
		ID:            d.ID,
		Payment:       of,
		State:         d.State,
		Reason:        d.Reason,
		Currency:      string(c),
		AmountMinor:   d.Minor,
		Reference:     d.Reference,
		EvidenceDueAt: micros(d.EvidenceDueAt),
		CreatedAt:     d.CreatedAt.UnixMicro(),
		ClosedAt:      micros(d.ClosedAt),
	}
	if d.Amount == "" {
		return r, nil
	}
	var err error
	r.AmountMinor, err = minor(&d.Amount, c)
	return r, err
}

// transferRows returns a row for each leg of the event's transfers. The effect on the balance is on
// the leg of the merchant's funds, so that summing the column counts it once.
func transferRows(t eventHead, e stream.Event) (rows []transferRow) {
	for _, tr := range e.Transfers {
		for i, leg := range tr.Entries {
			r := transferRow{
				eventHead: t,
				Payment:   e.Object,
				Transfer:  tr.ID,
				Leg:       int64(i),
				Kind:      string(tr.Kind),
				Phase:     string(tr.Phase),
				Resolves:  tr.Resolves,
				HeldMinor: tr.Held,
				Currency:  string(tr.Currency),
				Book:      leg.Account,
				Minor:     leg.Minor,
			}
			if leg.Account == ledger.Funds(e.Account) {
				r.AvailableMinor, r.PendingMinor = tr.Effect(e.Account)
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// minor returns a decimal amount in minor units, or 0 if there is none.
func minor(s *string, c money.Currency) (int64, error) {
	if s == nil {
		return 0, nil
	}
	a, err := money.Parse(*s, c)
	return a.Minor, err
}

// micros returns 0, which is null in the file, for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
