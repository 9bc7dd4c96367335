package projection

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// Limits of what one page reads. Beyond them the page returns where to continue.
const (
	reportMatches = 15_000 // payments that a word finds; of a word that finds more, only the newest are searched
)

// Search implements report.Service by keyset, newest first. The narrowest condition leads: an id, a
// rare word, or else the list of the link, status or currency. A page may hold fewer payments than
// the limit and still have a next one, because one page reads a bounded number of rows. A cursor of
// another list is cursor_invalid.
func (r *Reports) Search(ctx context.Context, q report.Query) (report.Page, error) {
	q.Bound()
	below, above := bounds(q.From, q.To)
	below, err := before(below, q.Before)
	if err != nil {
		return report.Page{}, err
	}

	owner, err := r.owner(ctx, q.Account, q.Mode)
	if err != nil || owner == 0 {
		return report.Page{}, err
	}

	s := &search{r: r, q: q, owner: owner, below: below, above: above}
	s.text(strings.TrimSpace(q.Text))

	page, err := s.page(ctx)
	// The index finds words by their beginning in any field; the query decides exactly.
	if len(s.words) > 0 {
		page.Payments = slices.DeleteFunc(page.Payments, func(p report.Payment) bool { return !q.Matches(p) })
	}
	for i := range page.Payments {
		page.Payments[i].Account, page.Payments[i].Mode = q.Account, q.Mode
	}

	return page, err
}

// search is the state of one page: the query, and what its text was recognized as.
type search struct {
	r            *Reports
	q            report.Query
	owner        int64
	below, above int64 // numbers: [above, below)
	payment      string
	words        []string
}

// text tells an id from words. An id of another link than the query's is searched as a word.
func (s *search) text(text string) {
	switch {
	case text == "":
	case id.Valid(id.Payment, text):
		s.payment = text
	case id.Valid(id.Link, text) && (s.q.Link == "" || s.q.Link == text):
		s.q.Link = text
	default:
		s.words = s.q.Words()
	}
}

// filter returns the conditions that every row of [above, below) must meet.
func (s *search) filter(below, above int64) *sqldb.Where {
	var w sqldb.Where
	w.Add("owner = ?", s.owner)
	w.Add("number < ?", below)
	w.Add("number >= ?", above)
	w.AddIf(s.q.Status != "", "status = ?", string(s.q.Status))
	w.AddIf(s.q.Currency != "", "currency = ?", string(s.q.Currency))
	w.AddIf(s.q.Link != "", "link = ?", s.q.Link)
	w.AddIf(s.payment != "", "id = ?", s.payment)
	for _, word := range s.words {
		w.Add(`terms LIKE ? ESCAPE '\'`, "%"+termMark+likely.Replace(word)+"%")
	}

	return &w
}

// likely escapes a text for LIKE.
var likely = strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`)

// page reads the page by the narrowest condition.
func (s *search) page(ctx context.Context) (report.Page, error) {
	if len(s.words) > 0 {
		word, rare, err := s.rarest(ctx)
		if err != nil {
			return report.Page{}, err
		}
		if rare {
			w := s.filter(s.below, s.above)
			w.Add(`number IN (SELECT number FROM report_terms WHERE owner = ? AND term >= ? AND term < ?)`, s.owner, word, word+lastRune)
			// The rare word's payments are read from the index of terms, so no window is needed.
			return s.rows(ctx, w, 0)
		}
	}

	if len(s.words) == 0 && s.single() {
		return s.rows(ctx, s.filter(s.below, s.above), 0)
	}

	// No condition is narrow enough: search the next Window rows of the list that leads.
	low, err := s.window(ctx)
	if err != nil {
		return report.Page{}, err
	}
	return s.rows(ctx, s.filter(s.below, max(low, s.above)), low)
}

// lastRune sorts after every text with the word as its prefix.
const lastRune = "\U0010ffff"

// single reports whether an index alone answers, so that no row is read in vain.
func (s *search) single() bool {
	n := 0
	for _, given := range []bool{s.q.Link != "", s.q.Status != "", s.q.Currency != ""} {
		if given {
			n++
		}
	}
	return s.payment != "" || n <= 1
}

// rarest returns the word with the fewest matches, and whether those are few enough to read them
// all. Counting stops at reportMatches.
func (s *search) rarest(ctx context.Context) (word string, rare bool, err error) {
	least := int64(reportMatches)
	for _, w := range s.words {
		var n int64
		err := s.r.own.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM report_terms WHERE owner = $1 AND term >= $2 AND term < $3
			LIMIT `+strconv.Itoa(reportMatches)+`) AS found`, s.owner, w, w+lastRune).Scan(&n)
		if err != nil {
			return "", false, err
		}
		if n < least {
			word, least, rare = w, n, true
		}
	}

	return word, rare, nil
}

// window returns the number at which the page stops searching, or 0 if it sees everything. It lies
// report.Window rows further down the list that leads.
func (s *search) window(ctx context.Context) (low int64, err error) {
	var w sqldb.Where
	w.Add("owner = ?", s.owner)
	switch { // the list that leads
	case s.q.Link != "":
		w.Add("link = ?", s.q.Link)
	case s.q.Status != "":
		w.Add("status = ?", string(s.q.Status))
	case s.q.Currency != "":
		w.Add("currency = ?", string(s.q.Currency))
	}
	w.Add("number < ?", s.below)
	w.Add("number >= ?", s.above)

	err = s.r.own.QueryRow(ctx, "SELECT COALESCE(MIN(number), 0) FROM (SELECT number FROM report_payments"+w.SQL()+
		" ORDER BY number DESC LIMIT 1 OFFSET "+strconv.Itoa(report.Window)+") AS place", w.Args...).Scan(&low)
	return low, err
}

// rows reads a page of the rows that meet the conditions. low is where the search stopped, if there
// is more below; it becomes the next page's cursor if this page is not full.
func (s *search) rows(ctx context.Context, w *sqldb.Where, low int64) (report.Page, error) {
	var page report.Page
	var last int64
	err := s.r.own.Each(ctx, func(rows sqldb.Scanner) error {
		row, err := scanReport(rows, false)
		switch {
		case err != nil:
		case len(page.Payments) == s.q.Limit:
			page.Next = strconv.FormatInt(last, cursorBase)
		default:
			page.Payments, last = append(page.Payments, row.Payment), row.number
		}
		return err
	}, "SELECT "+reportColumns+" FROM report_payments"+w.SQL()+" ORDER BY number DESC LIMIT "+strconv.Itoa(s.q.Limit+1), w.Args...)
	if err != nil {
		return report.Page{}, err
	}

	if page.Next == "" && low > s.above {
		page.Next = strconv.FormatInt(low, cursorBase)
	}
	return page, nil
}

// Overview implements report.Service. It folds the sums of the period and of the one before. Behind
// reports that the feed has events that are not in the sums yet. An account without rows has empty
// figures.
func (r *Reports) Overview(ctx context.Context, p report.Period) (report.Overview, error) {
	zone, err := p.Check()
	if err != nil {
		return report.Overview{}, err
	}
	owner, err := r.owner(ctx, p.Account, p.Mode)
	if err != nil {
		return report.Overview{}, err
	}

	// An account that is not known yet has no rows.
	var hours []report.Hour
	declines := map[money.Currency][]report.Reason{}
	if owner != 0 {
		now, before := stretchesOf(p, zone)
		if hours, err = r.sums(ctx, owner, now, before); err != nil {
			return report.Overview{}, err
		}
		if declines, err = r.reasons(ctx, owner, now); err != nil {
			return report.Overview{}, err
		}
	}

	o := report.Fold(p, zone, hours, declines)
	o.Behind, err = r.isBehind(ctx)
	return o, err
}

// isBehind reports whether the feed has moved on.
func (r *Reports) isBehind(ctx context.Context) (bool, error) {
	position, err := r.Position(ctx)
	if err != nil {
		return false, err
	}
	return r.feed.HasAfter(ctx, position)
}

// readSums returns the sums of a query for hour, currency and sumColumns.
func (r *Reports) readSums(ctx context.Context, query string, args ...any) (all []report.Hour, err error) {
	err = r.own.Each(ctx, func(row sqldb.Scanner) error {
		h, err := scanHour(row)
		all = append(all, h)
		return err
	}, query, args...)
	return all, err
}

// scanHour reads one row of hour, currency and sumColumns. Statuses without payments are left out.
func scanHour(rows sqldb.Scanner) (h report.Hour, err error) {
	var start int64
	statuses := make([]int64, len(report.Statuses))
	to := []any{&start, &h.Currency, &h.Volume, &h.Refunded}
	for i := range statuses {
		to = append(to, &statuses[i])
	}
	for i := range h.Links {
		to = append(to, &h.Links[i])
	}
	if err := rows.Scan(to...); err != nil {
		return h, err
	}

	for i, n := range statuses {
		if n == 0 {
			continue
		}
		if h.ByStatus == nil {
			h.ByStatus = map[payment.Status]int64{}
		}
		h.ByStatus[report.Statuses[i]] = n
	}
	h.From = time.Unix(start*int64(time.Hour/time.Second), 0).UTC()
	return h, nil
}
