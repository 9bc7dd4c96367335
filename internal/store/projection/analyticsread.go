package projection

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// Limits of one read.
const (
	analyticsPage    = 25 // rows of a page
	analyticsMaxPage = 100
	analyticsReplay  = 1000 // rows of one read of a replay
)

// selectAnalytics begins every query of rows.
const selectAnalytics = "SELECT " + analyticsColumns + " FROM analytics_payments"

// Rows implements history.Analyst by keyset, newest first, along one index. Its conditions repeat
// those of the partial indexes (no empty review, no empty action), or the engine would not use
// them. It reads one row more than the page to see whether there is another page. A cursor of
// another list is cursor_invalid.
func (a *Analytics) Rows(ctx context.Context, q history.Query) (history.Page, error) {
	if q.Limit <= 0 {
		q.Limit = analyticsPage
	}
	q.Limit = min(q.Limit, analyticsMaxPage)
	below, above := bounds(q.From, q.To)
	below, err := before(below, q.Before)
	if err != nil {
		return history.Page{}, err
	}

	owner, err := a.owner(ctx, q.Account, q.Mode)
	if err != nil || owner == 0 {
		return history.Page{}, err
	}

	var w sqldb.Where
	w.Add("owner = ?", owner)
	w.Add("number < ?", below)
	w.Add("number >= ?", above)
	if q.Review == history.Closed {
		w.Add("review <> '' AND review <> ?", payment.ReviewOpen)
	} else {
		w.AddIf(q.Review != "", "review <> '' AND review = ?", q.Review)
	}

	if q.Action == payment.Challenge {
		w.Add("challenge = 1")
	} else {
		w.AddIf(q.Action != "", "action <> '' AND action = ?", string(q.Action))
	}

	if q.Disputed {
		w.Add("disputed = 1")
	}

	rows, err := a.list(ctx, &w, q.Limit+1)
	if err != nil {
		return history.Page{}, err
	}
	var page history.Page
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		page.Next = strconv.FormatInt(rows[q.Limit-1].number, cursorBase)
	}

	for _, r := range rows {
		page.Rows = append(page.Rows, r.Row)
	}

	return page, nil
}

// list returns up to limit rows that meet the conditions, newest first.
func (a *Analytics) list(ctx context.Context, w *sqldb.Where, limit int) ([]analyticsRow, error) {
	return a.read(ctx, selectAnalytics+w.SQL()+" ORDER BY number DESC LIMIT "+strconv.Itoa(limit), w.Args...)
}

// read returns the rows of a query of selectAnalytics.
func (a *Analytics) read(ctx context.Context, query string, args ...any) ([]analyticsRow, error) {
	var all []analyticsRow
	err := a.own.Each(ctx, func(rows sqldb.Scanner) error {
		r, err := a.scan(ctx, rows)
		all = append(all, r)
		return err
	}, query, args...)
	return all, err
}

// Row implements history.Analyst. A payment of another account or mode is fault.NotFound.
func (a *Analytics) Row(ctx context.Context, account, mode, id string) (history.Row, error) {
	r, err := a.scan(ctx, a.own.Lookup(ctx, selectAnalytics+" WHERE id = $1", id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && (r.Account != account || r.Mode != mode) {
		return history.Row{}, fault.NotFound("payment")
	}
	return r.Row, err
}

// Related implements history.Analyst. It returns the newest payments for each of card, email (as
// stored, and as compared) and address, without the payment itself and each only once, at most
// limit in all.
func (a *Analytics) Related(ctx context.Context, account, mode, id string, limit int) ([]history.Row, error) {
	limit = min(max(limit, 1), analyticsMaxPage)
	// What the others must share is taken from the stored row.
	of, err := a.Row(ctx, account, mode, id)
	if err != nil {
		return nil, err
	}
	owner, err := a.owner(ctx, account, mode)
	if err != nil {
		return nil, err
	}

	var found []analyticsRow
	for _, by := range []struct{ column, condition, value string }{
		{"fingerprint", "fingerprint = ?", of.Risk.Fingerprint},
		{"fingerprint", "fingerprint = ?", issuer.WithoutBucket(of.Risk.Fingerprint)},
		{"payer_email", "lower(payer_email) = ?", lowerASCII(of.PayerEmail)},
		{"payer_email", "lower(payer_email) = ?", score.EmailKey(of.PayerEmail)},
		{"address", "address = ?", of.Risk.Address},
	} {
		if by.value == "" {
			continue
		}
		var w sqldb.Where
		w.Add("owner = ?", owner)
		w.Add(by.condition, by.value)
		// The column is indexed only where it is not empty.
		w.Add(by.column + " <> ''")
		rows, err := a.list(ctx, &w, limit+1)
		if err != nil {
			return nil, err
		}
		found = append(found, rows...)
	}

	slices.SortFunc(found, func(x, y analyticsRow) int { return cmp.Compare(y.number, x.number) })
	var all []history.Row
	last := int64(-1)
	for _, r := range found {
		if r.ID == id || r.number == last || len(all) == limit {
			continue
		}
		all, last = append(all, r.Row), r.number
	}

	return all, nil
}

// lowerASCII returns what both engines return for lower(text): only ASCII changes.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// Replay implements history.Replayer, oldest first. It reads a limited number of rows at a time, so
// no reader holds back the file's log. A payment that changes meanwhile is visited once. Without
// account and mode it visits those of all accounts, in the order of time.
func (a *Analytics) Replay(ctx context.Context, account, mode string, from, to time.Time, each func(history.Row) error) error {
	below, above := bounds(from, to)
	// Across accounts, the owner distinguishes rows of one number.
	query, number, after := selectAnalytics+" WHERE number < $1 AND (number, owner) > ($2, $3) ORDER BY number, owner LIMIT "+strconv.Itoa(
		analyticsReplay,
	), above, int64(
		-1,
	)
	if account != "" || mode != "" {
		owner, err := a.owner(ctx, account, mode)
		if err != nil || owner == 0 {
			return err
		}
		query, number, after = selectAnalytics+" WHERE number < $1 AND number > $2 AND owner = $3 ORDER BY number LIMIT "+strconv.Itoa(
			analyticsReplay,
		), above-1, owner
	}

	for {
		rows, err := a.read(ctx, query, below, number, after)
		if err != nil {
			return err
		}

		for _, r := range rows {
			if err := each(r.Row); err != nil {
				return err
			}
			// The next page begins after the last row that was visited.
			if number = r.number; account == "" && mode == "" {
				after = r.owner
			}
		}
		if len(rows) < analyticsReplay {
			return nil
		}
	}
}
