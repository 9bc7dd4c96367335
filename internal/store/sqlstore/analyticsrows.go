package sqlstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/payment"
)

// analyticsRows in one statement; few different texts are kept prepared.
const analyticsRows = 16

const analyticsColumns = "owner, number, id, link, currency, amount, captured, refunded, status, created_at, updated_at, answered_at, authorised, decline, " +
	"card_brand, card_last4, fingerprint, bin, payer_name, payer_email, realm, reference, address, country, action, challenge, why, rule, rule_version, score, " +
	"review, label, fraud, known_at, disputed, risk, disputes, seq"

// analyticsFields are the columns.
var analyticsFields = strings.Split(analyticsColumns, ", ")

// analyticsRow is a payment with its place.
type analyticsRow struct {
	owner, number int64
	history.Row
	fresh bool // it is not in the store yet
}

// fact is a payment as a commit is told of it: by its events, or by itself.
type fact interface {
	Row(before history.Row) (history.Row, error)
	Refunds() ([]history.Refund, error)
}

// whole is a payment read from its own store.
type whole struct {
	row     history.Row
	refunds []history.Refund
}

func (w whole) Row(before history.Row) (history.Row, error) {
	if w.row.Seq <= before.Seq {
		return before, nil
	}
	return w.row, nil
}
func (w whole) Refunds() ([]history.Refund, error) { return w.refunds, nil }

// folding is one commit at work.
type folding struct {
	a      *Analytics
	t      *tx
	owners map[ownerKey]int64
	sums   daySums
}

// commit writes what was gathered, and moves the checkpoint with it, if the feed
// still has the place where it stands.
func (a *Analytics) commit(ctx context.Context, feed reader, g *gatheredFraud, from, to place) error {
	if here, err := a.stands(ctx, feed, from); err != nil || !here {
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
		if err != nil { // an event is as it is: one that cannot be read does not stop all others
			a.log.ErrorContext(ctx, "an event is left out of the analytics store", "event", e.ID, "error", err)
			continue
		}
		links = append(links, l)
	}
	owners, err := a.ownersOf(ctx, g.owner)
	if err != nil {
		return err
	}
	return a.own.write(ctx, []string{analyticsLock}, func(t *tx) error {
		n, err := t.exec("UPDATE analytics_state SET position = $1, event = $2 WHERE one = 1 AND whole = 1 AND position = $3 AND event = $4",
			to.position, to.event, from.position, from.event)
		if err == nil && n == 0 {
			err = fmt.Errorf("the checkpoint of %s: %w", history.Consumer, errMoved)
		}
		if err != nil {
			return err
		}
		f := &folding{a: a, t: t, owners: owners, sums: newDaySums()}
		return f.write(g.order, facts, links)
	})
}

func (a *Analytics) ownersOf(ctx context.Context, all map[string]ownerKey) (map[ownerKey]int64, error) {
	owners := map[ownerKey]int64{}
	for _, key := range all {
		if owners[key] != 0 {
			continue
		}
		n, err := a.need(ctx, key)
		if err != nil {
			return nil, err
		}
		owners[key] = n
	}
	return owners, nil
}

// write brings the rows and the sums up to date.
func (f *folding) write(order []string, facts map[string]fact, links []history.Link) error {
	before, err := f.load(order)
	if err != nil {
		return err
	}
	var rows []analyticsRow
	for _, id := range order {
		old := before[id]
		next, err := facts[id].Row(old.Row)
		if err != nil {
			f.a.log.Error("an event is left out of the analytics store", "error", err)
		}
		if next.ID != "" && next.Seq != old.Seq {
			row := analyticsRow{owner: old.owner, number: old.number, Row: next, fresh: old.ID == ""}
			if row.fresh {
				row.owner, row.number = f.owners[ownerKey{next.Account, next.Mode}], placeOf(next)
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
	slices.SortFunc(rows, func(a, b analyticsRow) int { // neighbours are written together
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

// placeOf is the place of a payment in lists: its millisecond, then some bits of its
// id. Should it be taken, the next one is.
func placeOf(r history.Row) int64 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, r.ID)
	return r.CreatedAt.UnixMilli()<<numberBits | int64(h.Sum32()&(1<<numberBits-1))
}

var analyticsByIDs = selectAnalytics + " WHERE id IN (" + places(1, reportIDs) + ")"

// load reads the rows of payments.
func (f *folding) load(ids []string) (map[string]analyticsRow, error) {
	found := make(map[string]analyticsRow, len(ids))
	for chunk := range slices.Chunk(ids, reportIDs) {
		err := f.t.each(func(rows rowScanner) error {
			row, err := f.a.scan(f.t.ctx, rows)
			found[row.ID] = row
			return err
		}, analyticsByIDs, padded(chunk)...)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// scan reads a row. What the risk says in its JSON is not read from the columns again.
func (a *Analytics) scan(ctx context.Context, row rowScanner) (r analyticsRow, err error) {
	var created, updated, answered int64
	var risk, disputes string
	var skip any
	p := &r.Row
	to := []any{&r.owner, &r.number, &p.ID, &p.Link, &p.Amount.Currency, &p.Amount.Minor, &p.Captured, &p.Refunded, &p.Status, &created, &updated, &answered,
		&p.Authorised, &p.Decline, &p.CardBrand, &p.CardLast4, &skip, &skip, &p.PayerName, &p.PayerEmail, &p.Realm, &p.Reference, &skip, &skip, &skip, &skip, &skip, &skip, &skip,
		&skip, &skip, &skip, &skip, &skip, &skip, &risk, &disputes, &p.Seq}
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
			return r, damaged("analytics row", p.ID, err)
		}
	}
	if disputes != "" {
		if err := json.Unmarshal([]byte(disputes), &p.Disputes); err != nil {
			return r, damaged("analytics row", p.ID, err)
		}
	}
	return r, nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// scored reports whether a model gave the row a score.
func scored(r payment.Risk) bool { return r.Basis != "" && r.Basis != "no_model" }

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
		verdict = bit(isFraud)
	}
	p, k := r.Row, r.Risk
	return []any{r.owner, r.number, p.ID, p.Link, string(p.Amount.Currency), p.Amount.Minor, p.Captured, p.Refunded, string(p.Status), millis(p.CreatedAt), millis(p.UpdatedAt),
		millis(p.AnsweredAt), bit(p.Authorised), p.Decline, p.CardBrand, p.CardLast4, k.Fingerprint, k.BIN, p.PayerName, p.PayerEmail, p.Realm, p.Reference, k.Address, k.Country,
		string(k.Action), bit(k.Challenge), k.Why, k.Rule, int64(k.Version), score, k.Review, k.Label, verdict, millis(since), bit(len(p.Disputes) > 0), risk, disputes, p.Seq}, nil
}

// emptyRisk reports whether nothing was ever known or said.
func emptyRisk(r payment.Risk) bool {
	return r.Fingerprint == "" && r.BIN == "" && r.Address == "" && r.Country == "" && r.Action == "" && !r.Challenge && r.Basis == "" && r.Review == "" && r.Label == "" && len(r.Shadow) == 0
}

var putAnalytics, putManyAnalytics = putAnalyticsRows(1), putAnalyticsRows(analyticsRows)

func putAnalyticsRows(n int) string {
	var sets []string
	for _, c := range analyticsFields {
		if c != "owner" && c != "number" && c != "id" && c != "created_at" {
			sets = append(sets, c+" = excluded."+c)
		}
	}
	return "INSERT INTO analytics_payments (" + analyticsColumns + ") VALUES " + values(n, len(analyticsFields)) + " ON CONFLICT (owner, number) DO UPDATE SET " +
		strings.Join(sets, ", ") + " WHERE analytics_payments.id = excluded.id"
}

// store writes the rows, and gives new ones whose place is another's the next one.
func (f *folding) store(rows []analyticsRow) error {
	taken := make(map[[2]int64]bool, len(rows))
	for _, r := range rows {
		taken[[2]int64{r.owner, r.number}] = taken[[2]int64{r.owner, r.number}] || !r.fresh
	}
	for i := range rows {
		if !rows[i].fresh {
			continue
		}
		for taken[[2]int64{rows[i].owner, rows[i].number}] {
			rows[i].number++
		}
		taken[[2]int64{rows[i].owner, rows[i].number}] = true
	}
	// SQLite's driver looks for each value's place among all of the statement's, so
	// wide rows go one by one there; elsewhere each statement is a way to a server.
	_, embedded := f.t.dialect.(sqliteFile)
	for from := 0; from < len(rows); {
		if !embedded && from+analyticsRows <= len(rows) {
			args := make([]any, 0, analyticsRows*len(analyticsFields))
			for _, row := range rows[from : from+analyticsRows] {
				one, err := row.columns()
				if err != nil {
					return err
				}
				args = append(args, one...)
			}
			n, err := f.t.exec(putManyAnalytics, args...)
			if err != nil {
				return err
			}
			if n == analyticsRows {
				from += analyticsRows
				continue
			}
		}
		for end := min(from+analyticsRows, len(rows)); from < end; {
			one, err := rows[from].columns()
			if err != nil {
				return err
			}
			n, err := f.t.exec(putAnalytics, one...)
			if err != nil {
				return err
			}
			if n == 1 {
				from++
			} else {
				rows[from].number++
			}
		}
	}
	return nil
}

// refunds writes those of a payment; one that is not newer changes nothing.
func (f *folding) refunds(told fact) error {
	all, err := told.Refunds()
	if err != nil {
		f.a.log.Error("an event is left out of the analytics store", "error", err)
	}
	for _, r := range all {
		if _, err := f.t.exec(`INSERT INTO analytics_refunds (id, owner, payment, currency, amount, status, code, created_at, updated_at, seq)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO UPDATE SET status = excluded.status, code = excluded.code,
			updated_at = excluded.updated_at, seq = excluded.seq WHERE analytics_refunds.seq < excluded.seq`, r.ID, f.owners[ownerKey{r.Account, r.Mode}], r.Payment,
			string(r.Amount.Currency), r.Amount.Minor, string(r.Status), r.Code, millis(r.CreatedAt), millis(r.UpdatedAt), r.Seq); err != nil {
			return err
		}
	}
	return nil
}

// disputes writes those of a payment that have changed.
func (f *folding) disputes(row analyticsRow, before []payment.Dispute) error {
	for _, d := range row.Disputes {
		if slices.Contains(before, d) {
			continue
		}
		if _, err := f.t.exec(`INSERT INTO analytics_disputes (id, owner, payment, currency, amount, reason, state, reference, evidence_due_at, created_at, closed_at, seq)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, reason = excluded.reason,
			state = excluded.state, reference = excluded.reference, evidence_due_at = excluded.evidence_due_at, closed_at = excluded.closed_at, seq = excluded.seq
			WHERE analytics_disputes.seq < excluded.seq`, d.ID, row.owner, row.ID, string(row.Amount.Currency), d.Minor, d.Reason, d.State, d.Reference,
			millis(d.EvidenceDueAt), millis(d.CreatedAt), millis(d.ClosedAt), row.Seq); err != nil {
			return err
		}
	}
	return nil
}

const linkColumnsAnalytics = "id, owner, currency, amount, realm, reference, state, created_at, expires_at, seq"

var putAnalyticsLink, putAnalyticsLinks = putAnalyticsLinkRows(1), putAnalyticsLinkRows(analyticsRows)

func putAnalyticsLinkRows(n int) string {
	return "INSERT INTO analytics_links (" + linkColumnsAnalytics + ") VALUES " + values(n, 1+strings.Count(linkColumnsAnalytics, ",")) + `
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at, seq = excluded.seq WHERE analytics_links.seq < excluded.seq`
}

func (f *folding) links(all []history.Link) error {
	for len(all) > 0 {
		n, statement := 1, putAnalyticsLink
		if len(all) >= analyticsRows {
			n, statement = analyticsRows, putAnalyticsLinks
		}
		var args []any
		for _, l := range all[:n] {
			args = append(args, l.ID, f.owners[ownerKey{l.Account, l.Mode}], string(l.Amount.Currency), l.Amount.Minor, l.Realm, l.Reference, l.State,
				millis(l.CreatedAt), millis(l.ExpiresAt), l.Seq)
		}
		if _, err := f.t.exec(statement, args...); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}
