package projection

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// Limits of the statements: rows in one; few different statements stay prepared.
const (
	reportRows  = 16
	reportTerms = 64
)

// The columns that scanReport reads and columns returns, in their order, and how many values each
// statement's row takes.
const (
	reportColumns = "owner, number, id, link, realm, reference, issuer, payer_name, payer_email, card_brand, card_last4, decline, status, currency, " +
		"amount, captured, refunded, created_at, updated_at, seq, terms"
	reportFields = 21
	linkFields   = 6
	termFields   = 3
	termMark     = "\x1f" // before each term of a row
)

// reportRow is a payment with its place.
type reportRow struct {
	spot
	report.Payment
}

// projector is the state of one commit: the changes of the sums, by hour, which are written at its
// end.
type projector struct {
	t        *sqldb.Tx
	owners   map[ownerKey]int64
	sums     map[hourKey]report.Figures
	declines map[declineKey]int64
}

// hourKey identifies the sums of an owner in an hour of UTC, counted since 1970, in a currency.
type hourKey struct {
	owner, hour int64
	currency    money.Currency
}

// declineKey identifies the count of a reason for declines.
type declineKey struct {
	hourKey
	code string
}

// hourOf returns the hour of UTC, counted since 1970.
func hourOf(t time.Time) int64 { return t.Unix() / int64(time.Hour/time.Second) }

// commit writes what was gathered and moves the checkpoint, in one commit. It returns feed.ErrMoved
// if another process has moved it. The anchor names the event at the checkpoint, by which start
// recognizes the feed.
func (r *Reports) commit(ctx context.Context, _ sqldb.Reader, g *gathered, from, to feed.Place) error {
	owners, err := r.ensureOwners(ctx, g.owner)
	if err != nil {
		return err
	}

	return r.write(ctx, func(t *sqldb.Tx) error {
		p := newProjector(t, owners)
		if err := p.project(r, g); err != nil {
			return err
		}
		if err := feed.SaveCheckpoint(t, report.Consumer, from.Position, to.Position); err != nil {
			return err
		}
		_, err := t.Exec(`INSERT INTO report_anchor (one, position, event) VALUES (1, $1, $2)
			ON CONFLICT (one) DO UPDATE SET position = excluded.position, event = excluded.event`, to.Position, to.Event)
		return err
	})
}

// newProjector returns the state of a commit without any change.
func newProjector(t *sqldb.Tx, owners map[ownerKey]int64) *projector {
	return &projector{t: t, owners: owners, sums: map[hourKey]report.Figures{}, declines: map[declineKey]int64{}}
}

// project applies the gathered events to the rows of their payments and links, and writes what
// changed: rows, search terms, links, sums. An event that is not newer than its row changes
// nothing.
func (p *projector) project(r *Reports, g *gathered) error {
	before, err := load(p.t, reportByIDs, g.order, scanOwnedReport)
	if err != nil {
		return err
	}

	var rows []reportRow
	steps := map[string]report.Step{} // of links, as proved by payments
	for _, id := range g.order {
		row := before[id]
		for _, e := range g.payments[id] {
			next, err := report.Apply(row.Payment, e)
			if err != nil { // events never change: one that cannot be read must not stop all others
				r.log.Error("an event was left out of the reports", "event", e.ID, "error", err)
				continue
			}
			row.Payment = next
		}

		old := before[id]
		if row.ID == "" || row.Seq == old.Seq {
			continue
		}
		steps[row.Link] |= g.steps[id]
		if old.ID == "" {
			row.spot = spot{p.owners[ownerKey{row.Account, row.Mode}], numberOf(row.ID, row.CreatedAt), true}
		}
		p.count(old.Payment, row)
		rows = append(rows, row)
	}

	if err := putReports(p.t, rows); err != nil {
		return err
	}
	if err := p.index(rows, before); err != nil {
		return err
	}
	if err := p.links(r, g, steps, rows); err != nil {
		return err
	}
	return p.add()
}

// scanOwnedReport scans a row that begins with its account and mode.
func scanOwnedReport(row sqldb.Scanner) (string, reportRow, error) {
	r, err := scanReport(row, true)
	return r.ID, r, err
}

// scanReport reads one row of reportColumns; owned means that account and mode come before them.
// The terms are not needed: they follow from the row.
func scanReport(row sqldb.Scanner, owned bool) (r reportRow, err error) {
	var created, updated int64
	var terms string
	p := &r.Payment
	to := []any{
		&r.owner,
		&r.number,
		&p.ID,
		&p.Link,
		&p.Realm,
		&p.Reference,
		&p.Issuer,
		&p.PayerName,
		&p.PayerEmail,
		&p.CardBrand,
		&p.CardLast4,
		&p.Decline,
		&p.Status,
		&p.Amount.Currency,
		&p.Amount.Minor,
		&p.Captured,
		&p.Refunded,
		&created,
		&updated,
		&p.Seq,
		&terms,
	}
	if owned {
		to = slices.Concat([]any{&p.Account, &p.Mode}, to)
	}

	err = row.Scan(to...)
	p.CreatedAt, p.UpdatedAt = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	return r, err
}

// columns implements numbered.
func (r reportRow) columns() ([]any, error) {
	p := r.Payment
	return []any{
		r.owner,
		r.number,
		p.ID,
		p.Link,
		p.Realm,
		p.Reference,
		p.Issuer,
		p.PayerName,
		p.PayerEmail,
		p.CardBrand,
		p.CardLast4,
		p.Decline,
		string(
			p.Status,
		),
		string(p.Amount.Currency),
		p.Amount.Minor,
		p.Captured,
		p.Refunded,
		p.CreatedAt.UnixMilli(),
		p.UpdatedAt.UnixMilli(),
		p.Seq,
		marked(p.Terms()),
	}, nil
}

// marked returns the terms as one text, each after a mark, so that a search for the beginning of a
// term is a search for mark and text.
func marked(terms []string) string {
	if len(terms) == 0 {
		return ""
	}
	return termMark + strings.Join(terms, termMark)
}

// putReports writes the rows, and gives new ones their final numbers.
func putReports(t *sqldb.Tx, rows []reportRow) error {
	all := make([]numbered, len(rows))
	for i := range rows {
		all[i] = &rows[i]
	}
	return put(t, all, putReport, putSomeReports, reportRows)
}

// index writes the search terms of the rows that changed: it deletes those that are gone and adds
// those that are new.
func (p *projector) index(rows []reportRow, before map[string]reportRow) error {
	var fresh []posting
	for _, row := range rows {
		now := row.Terms()
		var was []string
		if old := before[row.ID]; old.ID != "" {
			was = old.Terms()
		}
		for _, term := range was {
			if slices.Contains(now, term) {
				continue
			}
			if _, err := p.t.Exec("DELETE FROM report_terms WHERE owner = $1 AND term = $2 AND number = $3", row.owner, term,
				row.number); err != nil {
				return err
			}
		}

		for _, term := range now {
			if !slices.Contains(was, term) {
				fresh = append(fresh, posting{row.owner, row.number, term})
			}
		}
	}

	slices.SortFunc(fresh, posting.compare) // neighboring index entries are written together
	return putAll(p.t, fresh, putTerm, putTerms, reportTerms, func(one posting) []any { return []any{one.owner, one.term, one.number} })
}

// The statements for one row and for many.
var (
	putReport, putSomeReports = putReportRows(1), putReportRows(reportRows)
	putTerm, putTerms         = putTermRows(1), putTermRows(reportTerms)
	reportByIDs               = "SELECT o.account, o.mode, p." + strings.ReplaceAll(reportColumns, ", ", ", p.") +
		" FROM report_payments p JOIN report_owners o ON o.id = p.owner WHERE p.id IN (" + sqldb.Params(1, loadIDs) + ")"
)

// putReportRows returns the statement for n payments. A number that another payment has changes
// nothing, and the count of rows shows it (see put).
func putReportRows(n int) string {
	return "INSERT INTO report_payments (" + reportColumns + ") VALUES " + sqldb.Values(n, reportFields) + `
		ON CONFLICT (owner, number) DO UPDATE SET link = excluded.link, realm = excluded.realm,
		reference = excluded.reference, issuer = excluded.issuer,
		payer_name = excluded.payer_name, payer_email = excluded.payer_email, card_brand = excluded.card_brand, card_last4 = excluded.card_last4,
		decline = excluded.decline, status = excluded.status, currency = excluded.currency, amount = excluded.amount,
		captured = excluded.captured,
		refunded = excluded.refunded, updated_at = excluded.updated_at, seq = excluded.seq, terms = excluded.terms
		WHERE report_payments.id = excluded.id`
}

// putTermRows returns the statement for n terms.
func putTermRows(n int) string {
	return "INSERT INTO report_terms (owner, term, number) VALUES " + sqldb.Values(n, termFields) + " ON CONFLICT DO NOTHING"
}

// posting states that a term finds a payment.
type posting struct {
	owner, number int64
	term          string
}

// compare orders postings as their index does.
func (a posting) compare(b posting) int {
	return cmp.Or(cmp.Compare(a.owner, b.owner), strings.Compare(a.term, b.term), cmp.Compare(a.number, b.number))
}

// count records the effect of a row's change on the sums: what the new row adds, less what the old
// one added. If the currency changed, the old figures leave the sum of their own hour and currency.
func (p *projector) count(old report.Payment, row reportRow) {
	was, oldDecline := report.FiguresOf(old)
	now, decline := report.FiguresOf(row.Payment)
	key := hourKey{row.owner, hourOf(row.CreatedAt), row.Amount.Currency}
	if old.ID != "" && old.Amount.Currency != row.Amount.Currency {
		p.change(hourKey{row.owner, hourOf(old.CreatedAt), old.Amount.Currency}, report.Figures{}.Minus(was))
		was = report.Figures{}
	}

	p.change(key, now.Minus(was))
	if oldDecline != decline {
		if oldDecline != "" {
			p.declines[declineKey{key, oldDecline}]--
		}
		if decline != "" {
			p.declines[declineKey{key, decline}]++
		}
	}
}

// change adds to the sums of an hour.
func (p *projector) change(key hourKey, by report.Figures) {
	sum := p.sums[key]
	sum.Add(by)
	p.sums[key] = sum
}

// units are the hours that a stored sum may cover.
var units = [...]int64{1, hoursOfDay}

// hoursOfDay is the unit of a day of UTC.
const hoursOfDay = 24

// add adds the counts to the stored sums of the hour and of the day in UTC.
func (p *projector) add() error {
	for _, unit := range units {
		sums, declines := p.by(unit)
		if err := p.addSums(unit, sums); err != nil {
			return err
		}
		if err := p.addDeclines(unit, declines); err != nil {
			return err
		}
	}
	return nil
}

// by sums up the counts by the unit, which is 1 hour or a day.
func (p *projector) by(unit int64) (map[hourKey]report.Figures, map[declineKey]int64) {
	sums, declines := map[hourKey]report.Figures{}, map[declineKey]int64{}
	for key, f := range p.sums {
		key.hour -= key.hour % unit
		sum := sums[key]
		sum.Add(f)
		sums[key] = sum
	}

	for key, n := range p.declines {
		key.hour -= key.hour % unit
		declines[key] += n
	}

	return sums, declines
}

// addSums adds the sums of one unit, in a fixed order.
func (p *projector) addSums(unit int64, sums map[hourKey]report.Figures) error {
	for _, key := range slices.SortedFunc(maps.Keys(sums), hourKey.compare) {
		f := sums[key]
		args := []any{key.owner, unit, key.hour, string(key.currency), f.Volume, f.Refunded}
		for _, s := range report.Statuses {
			args = append(args, f.ByStatus[s])
		}
		for _, n := range f.Links {
			args = append(args, n)
		}
		if _, err := p.t.Exec(addSum, args...); err != nil {
			return err
		}
	}

	return nil
}

// addDeclines adds the counts of reasons of one unit. A count that becomes zero is deleted, so that
// the table holds only reasons that occur.
func (p *projector) addDeclines(unit int64, declines map[declineKey]int64) error {
	for key, n := range declines {
		if n == 0 {
			continue
		}
		if _, err := p.t.Exec(`INSERT INTO report_declines (owner, unit, hour, currency, code, n) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (owner, unit, hour, currency, code) DO UPDATE SET n = report_declines.n + excluded.n`,
			key.owner, unit, key.hour, string(key.currency), key.code, n); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if _, err := p.t.Exec("DELETE FROM report_declines WHERE owner = $1 AND unit = $2 AND hour = $3 AND currency = $4 AND code = $5 AND n = 0",
			key.owner, unit, key.hour, string(key.currency), key.code); err != nil {
			return err
		}
	}

	return nil
}

// compare orders keys by owner, hour and currency.
func (k hourKey) compare(o hourKey) int {
	return cmp.Or(cmp.Compare(k.owner, o.owner), cmp.Compare(k.hour, o.hour), cmp.Compare(k.currency, o.currency))
}

// sumColumns are the columns of report_sums after its key, in the order of Figures.
var sumColumns = func() []string {
	all := []string{"volume", "refunded_sum"}
	for _, s := range report.Statuses {
		all = append(all, string(s))
	}
	return append(all, "links_created", "links_opened", "links_started", "links_submitted", "links_paid")
}()

// addSum adds to a row of sums.
var addSum = addTo("report_sums", "owner, unit, hour, currency", sumColumns)
