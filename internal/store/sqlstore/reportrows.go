package sqlstore

import (
	"cmp"
	"context"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/stream"
)

// Bounds of the statements: rows in one; few different texts are kept prepared.
const (
	reportRows  = 16
	reportTerms = 64
	reportIDs   = 64
)

const (
	reportColumns = "owner, number, id, link, realm, reference, issuer, payer_name, payer_email, card_brand, card_last4, decline, status, currency, " +
		"amount, captured, refunded, created_at, updated_at, seq, terms"
	reportFields = 21
	linkFields   = 6
	termFields   = 3
	numberBits   = 22     // below a payment's millisecond
	termMark     = "\x1f" // before each term of a row
)

// reportRow is a payment with its place.
type reportRow struct {
	owner, number int64
	report.Payment
}

// projector is one commit at work.
type projector struct {
	t        *tx
	owners   map[ownerKey]int64
	sums     map[hourKey]report.Figures
	declines map[declineKey]int64
}

type hourKey struct {
	owner, hour int64
	currency    money.Currency
}

type declineKey struct {
	hourKey
	code string
}

func hourOf(t time.Time) int64 { return t.Unix() / int64(time.Hour/time.Second) }

// commit writes what was gathered, and moves the checkpoint with it.
func (r *Reports) commit(ctx context.Context, g *gathered, from, to int64) error {
	owners := map[ownerKey]int64{}
	for _, all := range []map[string][]stream.Event{g.payments, g.links} {
		for _, events := range all {
			key := ownerKey{events[0].Account, events[0].Mode}
			if owners[key] != 0 {
				continue
			}
			n, err := r.need(ctx, key.account, key.mode)
			if err != nil {
				return err
			}
			owners[key] = n
		}
	}
	return r.own.write(ctx, []string{reportLock}, func(t *tx) error {
		p := &projector{t: t, owners: owners, sums: map[hourKey]report.Figures{}, declines: map[declineKey]int64{}}
		if err := p.project(r, g); err != nil {
			return err
		}
		if err := moveCheckpoint(t, report.Consumer, from, to); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO report_anchor (one, position, event) VALUES (1, $1, $2)
			ON CONFLICT (one) DO UPDATE SET position = excluded.position, event = excluded.event`, to, g.last.ID)
		return err
	})
}

func (p *projector) project(r *Reports, g *gathered) error {
	before, err := p.load(g.order)
	if err != nil {
		return err
	}
	var rows []reportRow
	steps := map[string]report.Step{} // of links, as payments prove them
	for _, id := range g.order {
		row := before[id]
		for _, e := range g.payments[id] {
			next, err := report.Apply(row.Payment, e)
			if err != nil { // an event is as it is: one that cannot be read does not stop all others
				r.log.Error("an event is left out of the reports", "event", e.ID, "error", err)
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
			row.owner, row.number = p.owners[ownerKey{row.Account, row.Mode}], numberOf(row.Payment)
		}
		p.count(old.Payment, row)
		rows = append(rows, row)
	}
	if err := p.store(rows); err != nil {
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

// numberOf is the place of a payment in lists: its millisecond, then some bits of
// its id. Should it be taken, the next one is.
func numberOf(p report.Payment) int64 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, p.ID)
	return p.CreatedAt.UnixMilli()<<numberBits | int64(h.Sum32()&(1<<numberBits-1))
}

// load reads the rows of payments.
func (p *projector) load(ids []string) (map[string]reportRow, error) {
	found := make(map[string]reportRow, len(ids))
	for chunk := range slices.Chunk(ids, reportIDs) {
		err := p.t.each(func(rows rowScanner) error {
			row, err := scanReport(rows, true)
			found[row.ID] = row
			return err
		}, reportByIDs, padded(chunk)...)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// padded are the ids as arguments of a statement with a fixed number of places.
func padded(ids []string) []any {
	args := make([]any, reportIDs)
	for i := range args {
		args[i] = ""
		if i < len(ids) {
			args[i] = ids[i]
		}
	}
	return args
}

func scanReport(row rowScanner, owned bool) (r reportRow, err error) {
	var created, updated int64
	var terms string
	p := &r.Payment
	to := []any{&r.owner, &r.number, &p.ID, &p.Link, &p.Realm, &p.Reference, &p.Issuer, &p.PayerName, &p.PayerEmail, &p.CardBrand, &p.CardLast4,
		&p.Decline, &p.Status, &p.Amount.Currency, &p.Amount.Minor, &p.Captured, &p.Refunded, &created, &updated, &p.Seq, &terms}
	if owned {
		to = slices.Concat([]any{&p.Account, &p.Mode}, to)
	}
	err = row.Scan(to...)
	p.CreatedAt, p.UpdatedAt = time.UnixMilli(created).UTC(), time.UnixMilli(updated).UTC()
	return r, err
}

func (r reportRow) columns() []any {
	p := r.Payment
	return []any{r.owner, r.number, p.ID, p.Link, p.Realm, p.Reference, p.Issuer, p.PayerName, p.PayerEmail, p.CardBrand, p.CardLast4, p.Decline,
		string(p.Status), string(p.Amount.Currency), p.Amount.Minor, p.Captured, p.Refunded, p.CreatedAt.UnixMilli(), p.UpdatedAt.UnixMilli(), p.Seq,
		marked(p.Terms())}
}

func marked(terms []string) string {
	if len(terms) == 0 {
		return ""
	}
	return termMark + strings.Join(terms, termMark)
}

// store writes the rows, and gives those a new number whose own is another's.
func (p *projector) store(rows []reportRow) error {
	type place struct{ owner, number int64 }
	taken := make(map[place]bool, len(rows))
	for i := range rows {
		for taken[place{rows[i].owner, rows[i].number}] {
			rows[i].number++
		}
		taken[place{rows[i].owner, rows[i].number}] = true
	}
	for from := 0; from < len(rows); {
		if from+reportRows <= len(rows) {
			args := make([]any, 0, reportRows*reportFields)
			for _, row := range rows[from : from+reportRows] {
				args = append(args, row.columns()...)
			}
			n, err := p.t.exec(putReports, args...)
			if err != nil {
				return err
			}
			if n == reportRows {
				from += reportRows
				continue
			}
		}
		for end := min(from+reportRows, len(rows)); from < end; {
			n, err := p.t.exec(putReport, rows[from].columns()...)
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

// index writes what the rows are found by, where that has changed.
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
			if _, err := p.t.exec("DELETE FROM report_terms WHERE owner = $1 AND term = $2 AND number = $3", row.owner, term, row.number); err != nil {
				return err
			}
		}
		for _, term := range now {
			if !slices.Contains(was, term) {
				fresh = append(fresh, posting{row.owner, row.number, term})
			}
		}
	}
	slices.SortFunc(fresh, posting.compare) // neighbours in the index are written together
	for len(fresh) > 0 {
		n, statement := 1, putTerm
		if len(fresh) >= reportTerms {
			n, statement = reportTerms, putTerms
		}
		args := make([]any, 0, n*termFields)
		for _, one := range fresh[:n] {
			args = append(args, one.owner, one.term, one.number)
		}
		if _, err := p.t.exec(statement, args...); err != nil {
			return err
		}
		fresh = fresh[n:]
	}
	return nil
}

// The statements for one row and for many.
var (
	putReport, putReports = putReportRows(1), putReportRows(reportRows)
	putTerm, putTerms     = putTermRows(1), putTermRows(reportTerms)
	reportByIDs           = "SELECT o.account, o.mode, p." + strings.ReplaceAll(reportColumns, ", ", ", p.") +
		" FROM report_payments p JOIN report_owners o ON o.id = p.owner WHERE p.id IN (" + places(1, reportIDs) + ")"
)

func putReportRows(n int) string {
	return "INSERT INTO report_payments (" + reportColumns + ") VALUES " + values(n, reportFields) + `
		ON CONFLICT (owner, number) DO UPDATE SET link = excluded.link, realm = excluded.realm, reference = excluded.reference, issuer = excluded.issuer,
		payer_name = excluded.payer_name, payer_email = excluded.payer_email, card_brand = excluded.card_brand, card_last4 = excluded.card_last4,
		decline = excluded.decline, status = excluded.status, currency = excluded.currency, amount = excluded.amount, captured = excluded.captured,
		refunded = excluded.refunded, updated_at = excluded.updated_at, seq = excluded.seq, terms = excluded.terms
		WHERE report_payments.id = excluded.id`
}

func putTermRows(n int) string {
	return "INSERT INTO report_terms (owner, term, number) VALUES " + values(n, termFields) + " ON CONFLICT DO NOTHING"
}

// posting says that a term finds a payment.
type posting struct {
	owner, number int64
	term          string
}

func (a posting) compare(b posting) int {
	return cmp.Or(cmp.Compare(a.owner, b.owner), strings.Compare(a.term, b.term), cmp.Compare(a.number, b.number))
}

// count notes what the row's change does to the sums.
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

func (p *projector) change(key hourKey, by report.Figures) {
	sum := p.sums[key]
	sum.Add(by)
	p.sums[key] = sum
}

// units are the hours that a stored sum may be of.
var units = [...]int64{1, hoursOfDay}

const hoursOfDay = 24

// add adds what was counted to the stored sums: of the hour, and of the day in UTC.
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

// by sums up what was counted by the unit.
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
		if _, err := p.t.exec(addSum, args...); err != nil {
			return err
		}
	}
	return nil
}

func (p *projector) addDeclines(unit int64, declines map[declineKey]int64) error {
	for key, n := range declines {
		if n == 0 {
			continue
		}
		if _, err := p.t.exec(`INSERT INTO report_declines (owner, unit, hour, currency, code, n) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (owner, unit, hour, currency, code) DO UPDATE SET n = report_declines.n + excluded.n`,
			key.owner, unit, key.hour, string(key.currency), key.code, n); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if _, err := p.t.exec("DELETE FROM report_declines WHERE owner = $1 AND unit = $2 AND hour = $3 AND currency = $4 AND code = $5 AND n = 0",
			key.owner, unit, key.hour, string(key.currency), key.code); err != nil {
			return err
		}
	}
	return nil
}

func (k hourKey) compare(o hourKey) int {
	return cmp.Or(cmp.Compare(k.owner, o.owner), cmp.Compare(k.hour, o.hour), cmp.Compare(k.currency, o.currency))
}

// sumColumns are those of report_sums after its key, in the order of Figures.
var sumColumns = func() []string {
	all := []string{"volume", "refunded_sum"}
	for _, s := range report.Statuses {
		all = append(all, string(s))
	}
	return append(all, "links_created", "links_opened", "links_started", "links_submitted", "links_paid")
}()

var addSum = func() string {
	var sets []string
	for _, c := range sumColumns {
		sets = append(sets, c+" = report_sums."+c+" + excluded."+c)
	}
	return "INSERT INTO report_sums (owner, unit, hour, currency, " + strings.Join(sumColumns, ", ") + ") VALUES " + values(1, 4+len(sumColumns)) +
		" ON CONFLICT (owner, unit, hour, currency) DO UPDATE SET " + strings.Join(sets, ", ")
}()

// values are n rows of so many places each.
func values(n, fields int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("(" + places(i*fields+1, fields) + ")")
	}
	return b.String()
}

// places are n parameters, from a number on.
func places(from, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = "$" + strconv.Itoa(from+i)
	}
	return strings.Join(all, ",")
}
