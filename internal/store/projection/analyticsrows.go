package projection

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// analyticsRows is the number of rows in one statement; few different statements stay prepared.
const analyticsRows = 16

// analyticsColumns are the columns that scan reads and columns returns, in their order.
const analyticsColumns = "owner, number, id, link, currency, amount, captured, refunded, status, created_at, updated_at, answered_at, authorised, decline, " +
	"card_brand, card_last4, fingerprint, bin, payer_name, payer_email, realm, reference, address, country, action, challenge, why, rule, rule_version, score, " +
	"review, label, fraud, known_at, disputed, risk, disputes, seq"

// analyticsFields lists the columns.
var analyticsFields = strings.Split(analyticsColumns, ", ")

// analyticsRow is a payment with its place.
type analyticsRow struct {
	spot
	history.Row
}

// fact is how a commit learns of a payment: by its events, or from the payment itself.
type fact interface {
	Row(before history.Row) (history.Row, error)
	Refunds() ([]history.Refund, error)
}

// whole is a payment read from its own store.
type whole struct {
	row     history.Row
	refunds []history.Refund
}

// Row implements fact. A row that is not older than the payment's present state stays.
func (w whole) Row(before history.Row) (history.Row, error) {
	if w.row.Seq <= before.Seq {
		return before, nil
	}
	return w.row, nil
}

// Refunds implements fact.
func (w whole) Refunds() ([]history.Refund, error) { return w.refunds, nil }

// folding is the state of one commit.
type folding struct {
	a      *Analytics
	t      *sqldb.Tx
	owners map[ownerKey]int64
	sums   daySums
}

// commit writes what was gathered and moves the checkpoint, in one commit, if the feed still
// contains the checkpoint's place. Otherwise the store is marked for a rebuild. It returns
// feed.ErrMoved if another process has moved the checkpoint or begun a rebuild. An event that
// cannot be read is logged and left out.
func (a *Analytics) commit(ctx context.Context, in sqldb.Reader, g *gatheredFraud, from, to feed.Place) error {
	if here, err := a.feed.Has(ctx, in, from); err != nil || !here {
		if err == nil {
			err = a.void(ctx)
		}
		return err
	}

	facts := make(map[string]fact, len(g.payments))
	for id, t := range g.payments {
		facts[id] = t
	}

	links := make([]history.Link, 0, len(g.links))
	for _, e := range g.links {
		l, err := history.ApplyLink(history.Link{}, e)
		if err != nil { // events never change: one that cannot be read must not stop all others
			a.log.ErrorContext(ctx, "an event was left out of the analytics store", "event", e.ID, "error", err)
			continue
		}
		links = append(links, l)
	}

	owners, err := a.ensureOwners(ctx, g.owner)
	if err != nil {
		return err
	}
	// The checkpoint moves first: its condition proves that this process is the one that follows.
	return a.write(ctx, func(t *sqldb.Tx) error {
		n, err := t.Exec("UPDATE analytics_state SET position = $1, event = $2 WHERE one = 1 AND whole = 1 AND position = $3 AND event = $4",
			to.Position, to.Event, from.Position, from.Event)
		if err == nil && n == 0 {
			err = fmt.Errorf("the checkpoint of %s: %w", history.Consumer, feed.ErrMoved)
		}
		if err != nil {
			return err
		}
		f := &folding{a: a, t: t, owners: owners, sums: newDaySums()}
		return f.write(g.order, facts, links)
	})
}

// write updates the rows and the sums: for each changed row, the sums lose what the old row added
// and gain what the new one adds. A fact that is not newer than its row changes nothing, so events
// that come twice are harmless.
func (f *folding) write(order []string, facts map[string]fact, links []history.Link) error {
	before, err := load(f.t, analyticsByIDs, order, func(row sqldb.Scanner) (string, analyticsRow, error) {
		r, err := f.a.scan(f.t.Context(), row)
		return r.ID, r, err
	})
	if err != nil {
		return err
	}

	var rows []analyticsRow
	for _, id := range order {
		old := before[id]
		next, err := facts[id].Row(old.Row)
		if err != nil {
			f.a.log.Error("an event was left out of the analytics store", "error", err)
		}

		if next.ID != "" && next.Seq != old.Seq {
			row := analyticsRow{old.spot, next}
			if old.ID == "" {
				row.spot = spot{f.owners[ownerKey{next.Account, next.Mode}], numberOf(next.ID, next.CreatedAt), true}
			}
			f.sums.change(row.owner, old.Row, -1)
			f.sums.change(row.owner, row.Row, 1)
			if err := f.disputes(row, old.Disputes); err != nil {
				return err
			}
			rows = append(rows, row)
		}
		if err := f.refunds(facts[id]); err != nil {
			return err
		}
	}

	slices.SortFunc(rows, func(a, b analyticsRow) int { // neighboring rows are written together
		return cmp.Or(cmp.Compare(a.owner, b.owner), cmp.Compare(a.number, b.number))
	})
	if err := f.store(rows); err != nil {
		return err
	}
	if err := f.links(links); err != nil {
		return err
	}
	return f.sums.add(f.t)
}

// analyticsByIDs selects the rows of loadIDs payments.
var analyticsByIDs = selectAnalytics + " WHERE id IN (" + sqldb.Params(1, loadIDs) + ")"

// scan reads a row of selectAnalytics. Columns that repeat the JSON of the risk are not read. JSON
// that cannot be decoded is a fault.
func (a *Analytics) scan(ctx context.Context, row sqldb.Scanner) (r analyticsRow, err error) {
	var created, updated, answered int64
	var risk, disputes string
	var skip any
	p := &r.Row
	to := []any{
		&r.owner,
		&r.number,
		&p.ID,
		&p.Link,
		&p.Amount.Currency,
		&p.Amount.Minor,
		&p.Captured,
		&p.Refunded,
		&p.Status,
		&created,
		&updated,
		&answered,
		&p.Authorised,
		&p.Decline,
		&p.CardBrand,
		&p.CardLast4,
		&skip,
		&skip,
		&p.PayerName,
		&p.PayerEmail,
		&p.Realm,
		&p.Reference,
		&skip,
		&skip,
		&skip,
		&skip,
		&skip,
		&skip,
		&skip,
		&skip,
		&skip,
		&skip,
		&skip,
		&skip,
		&skip,
		&risk,
		&disputes,
		&p.Seq,
	}

	if err := row.Scan(to...); err != nil {
		return r, err
	}
	name, err := a.name(ctx, r.owner)
	if err != nil {
		return r, err
	}
	p.Account, p.Mode = name.account, name.mode
	p.CreatedAt, p.UpdatedAt, p.AnsweredAt = fromMillis(created), fromMillis(updated), fromMillis(answered)

	if risk != "" {
		if err := json.Unmarshal([]byte(risk), &p.Risk); err != nil {
			return r, sqldb.Damaged("analytics row", p.ID, err)
		}
	}

	if disputes != "" {
		if err := json.Unmarshal([]byte(disputes), &p.Disputes); err != nil {
			return r, sqldb.Damaged("analytics row", p.ID, err)
		}
	}

	return r, nil
}

// scored reports whether a model scored the row.
func scored(r payment.Risk) bool { return r.Basis != "" && r.Basis != "no_model" }

// columns implements numbered. Columns beside the JSON exist for the indexes. Unknown values are -1
// for a score or a verdict, because 0 is one.
func (r analyticsRow) columns() ([]any, error) {
	risk, disputes, score := "", "", int64(-1)
	if !emptyRisk(r.Risk) {
		raw, err := json.Marshal(r.Risk)
		if err != nil {
			return nil, err
		}
		risk = string(raw)
	}

	if len(r.Disputes) > 0 {
		raw, err := json.Marshal(r.Disputes)
		if err != nil {
			return nil, err
		}
		disputes = string(raw)
	}

	if scored(r.Risk) {
		score = int64(r.Risk.Score)
	}

	isFraud, since, known := r.Fraud()
	verdict := int64(-1)
	if known {
		verdict = sqldb.Bit(isFraud)
	}

	p, k := r.Row, r.Risk
	return []any{
		r.owner,
		r.number,
		p.ID,
		p.Link,
		string(p.Amount.Currency),
		p.Amount.Minor,
		p.Captured,
		p.Refunded,
		string(p.Status),
		millis(p.CreatedAt),
		millis(p.UpdatedAt),
		millis(
			p.AnsweredAt,
		),
		sqldb.Bit(p.Authorised),
		p.Decline,
		p.CardBrand,
		p.CardLast4,
		k.Fingerprint,
		k.BIN,
		p.PayerName,
		p.PayerEmail,
		p.Realm,
		p.Reference,
		k.Address,
		k.Country,
		string(
			k.Action,
		),
		sqldb.Bit(k.Challenge),
		k.Why,
		k.Rule,
		int64(k.Version),
		score,
		k.Review,
		k.Label,
		verdict,
		millis(since),
		sqldb.Bit(len(p.Disputes) > 0),
		risk,
		disputes,
		p.Seq,
	}, nil
}

// emptyRisk reports whether nothing was known or recorded.
func emptyRisk(r payment.Risk) bool {
	return r.Fingerprint == "" && r.BIN == "" && r.Address == "" && r.Country == "" && r.Action == "" && !r.Challenge && r.Basis == "" &&
		r.Review == "" &&
		r.Label == "" &&
		len(r.Shadow) == 0
}

// The statements for one row and for many.
var putAnalytics, putManyAnalytics = putAnalyticsRows(1), putAnalyticsRows(analyticsRows)

// putAnalyticsRows returns the statement for n rows. A number that another payment has changes
// nothing, and the count of rows shows it (see put).
func putAnalyticsRows(n int) string {
	var sets []string
	for _, c := range analyticsFields {
		if c != "owner" && c != "number" && c != "id" && c != "created_at" {
			sets = append(sets, c+" = excluded."+c)
		}
	}
	return "INSERT INTO analytics_payments (" + analyticsColumns + ") VALUES " + sqldb.Values(
		n,
		len(analyticsFields),
	) + " ON CONFLICT (owner, number) DO UPDATE SET " +
		strings.Join(
			sets,
			", ",
		) + " WHERE analytics_payments.id = excluded.id"
}

// store writes the rows. SQLite's driver searches each value's place among all of the
// statement's, so it writes wide rows one by one; elsewhere each statement is a round trip to a
// server.
func (f *folding) store(rows []analyticsRow) error {
	all, many := make([]numbered, len(rows)), 1
	for i := range rows {
		all[i] = &rows[i]
	}
	if f.t.Shared() {
		many = analyticsRows
	}
	return put(f.t, all, putAnalytics, putManyAnalytics, many)
}

// refunds writes the refunds of a payment. One that is not newer changes nothing. Refunds that
// cannot be read are logged and left out.
func (f *folding) refunds(f0 fact) error {
	all, err := f0.Refunds()
	if err != nil {
		f.a.log.Error("an event was left out of the analytics store", "error", err)
	}
	for _, r := range all {
		if _, err := f.t.Exec(`INSERT INTO analytics_refunds (id, owner, payment, currency, amount, status, code, created_at, updated_at, seq)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO UPDATE SET status = excluded.status, code = excluded.code,
			updated_at = excluded.updated_at, seq = excluded.seq WHERE analytics_refunds.seq < excluded.seq`, r.ID, f.owners[ownerKey{r.Account, r.Mode}], r.Payment,
			string(r.Amount.Currency), r.Amount.Minor, string(r.Status), r.Code, millis(r.CreatedAt), millis(r.UpdatedAt), r.Seq); err != nil {
			return err
		}
	}

	return nil
}

// disputes writes the disputes of a payment that differ from before.
func (f *folding) disputes(row analyticsRow, before []payment.Dispute) error {
	for _, d := range row.Disputes {
		if slices.Contains(before, d) {
			continue
		}
		if _, err := f.t.Exec(`INSERT INTO analytics_disputes (id, owner, payment, currency, amount, reason, state, reference, evidence_due_at, created_at, closed_at, seq)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO UPDATE SET amount = excluded.amount,
			reason = excluded.reason,
			state = excluded.state, reference = excluded.reference, evidence_due_at = excluded.evidence_due_at,
			closed_at = excluded.closed_at, seq = excluded.seq
			WHERE analytics_disputes.seq < excluded.seq`, d.ID, row.owner, row.ID, string(row.Amount.Currency), d.Minor, d.Reason, d.State, d.Reference,
			millis(d.EvidenceDueAt), millis(d.CreatedAt), millis(d.ClosedAt), row.Seq); err != nil {
			return err
		}
	}

	return nil
}

// linkColumnsAnalytics are the columns of a link's row.
const linkColumnsAnalytics = "id, owner, currency, amount, realm, reference, state, created_at, expires_at, seq"

// The statements for one link and for many.
var putAnalyticsLink, putAnalyticsLinks = putAnalyticsLinkRows(1), putAnalyticsLinkRows(analyticsRows)

// putAnalyticsLinkRows returns the statement for n links. A link that is not newer changes nothing.
func putAnalyticsLinkRows(n int) string {
	return "INSERT INTO analytics_links (" + linkColumnsAnalytics + ") VALUES " + sqldb.Values(
		n,
		1+strings.Count(linkColumnsAnalytics, ","),
	) + `
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at, seq = excluded.seq WHERE analytics_links.seq < excluded.seq`
}

// links writes the rows of links.
func (f *folding) links(all []history.Link) error {
	return putAll(f.t, all, putAnalyticsLink, putAnalyticsLinks, analyticsRows, func(l history.Link) []any {
		return []any{l.ID, f.owners[ownerKey{l.Account, l.Mode}], string(l.Amount.Currency), l.Amount.Minor, l.Realm, l.Reference, l.State,
			millis(l.CreatedAt), millis(l.ExpiresAt), l.Seq}
	})
}
