package projection

import (
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// Limits and the shape of a number.
const (
	loadIDs    = 64 // ids in one statement
	cursorBase = 36 // base of a cursor's number
	numberBits = 22 // of a number, below a payment's millisecond
)

// spot is the place of a payment's row in the lists of its owner.
type spot struct {
	owner, number int64
	fresh         bool // not stored yet
}

// at returns the place itself, so that put can change it.
func (s *spot) at() *spot { return s }

// numbered is a row of a payment that put writes.
type numbered interface {
	at() *spot
	columns() ([]any, error)
}

// numberOf returns the number of a payment in lists: its millisecond, then some bits of its id.
// Numbers sort by time and are unique for an owner: if one is taken, put uses the next.
func numberOf(id string, at time.Time) int64 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, id)
	return at.UnixMilli()<<numberBits | int64(h.Sum32()&(1<<numberBits-1))
}

// bounds returns the bounds of numbers for a period: [above, below). A zero time is open.
func bounds(from, to time.Time) (below, above int64) {
	below = math.MaxInt64
	if !from.IsZero() {
		above = numberAt(from)
	}
	if !to.IsZero() {
		below = numberAt(to)
	}
	return below, above
}

// numberAt returns the first number of a moment. Beyond the largest number it returns the
// largest.
func numberAt(t time.Time) int64 {
	const most = int64(math.MaxInt64) >> numberBits
	if ms := t.UnixMilli(); ms < most {
		return max(0, ms) << numberBits
	}
	return math.MaxInt64
}

// before limits a list by the cursor of the previous page, which is the number of its last row. A
// cursor in another spelling is cursor_invalid.
func before(below int64, cursor string) (int64, error) {
	if cursor == "" {
		return below, nil
	}
	n, err := strconv.ParseInt(cursor, cursorBase, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, cursorBase) != cursor {
		return 0, fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass the next position from a previous page.")
	}
	return min(below, n), nil
}

// put writes rows. A new row whose number is taken gets the next one, among the rows themselves
// first, then among those that are stored. The statements write one row, and many at once; they
// change nothing for a number that another payment has.
func put(t *sqldb.Tx, rows []numbered, one, several string, many int) error {
	type place struct{ owner, number int64 }
	// Rows that are stored keep their numbers; new ones avoid those and each other.
	taken := make(map[place]bool, len(rows))
	for _, r := range rows {
		if s := r.at(); !s.fresh {
			taken[place{s.owner, s.number}] = true
		}
	}

	for _, r := range rows {
		s := r.at()
		if !s.fresh {
			continue
		}
		for taken[place{s.owner, s.number}] {
			s.number++
		}
		taken[place{s.owner, s.number}] = true
	}

	for from := 0; from < len(rows); {
		// One statement for many rows, if all of them find their number free.
		if many > 1 && from+many <= len(rows) {
			n, err := putRows(t, several, rows[from:from+many])
			if err != nil {
				return err
			}
			if n == int64(many) {
				from += many
				continue
			}
		}
		// At least one number is taken by a payment that is stored: write them one by one, which
		// repeats those that were written without harm.
		for end := min(from+many, len(rows)); from < end; {
			n, err := putRows(t, one, rows[from:from+1])
			if err != nil {
				return err
			}
			if n == 1 {
				from++
			} else {
				rows[from].at().number++
			}
		}
	}

	return nil
}

// putRows runs a statement for the rows and returns how many it wrote.
func putRows(t *sqldb.Tx, statement string, rows []numbered) (int64, error) {
	var args []any
	for _, r := range rows {
		columns, err := r.columns()
		if err != nil {
			return 0, err
		}
		if args == nil {
			args = make([]any, 0, len(rows)*len(columns))
		}
		args = append(args, columns...)
	}

	return t.Exec(statement, args...)
}

// putAll writes rows by statements for many rows, and the rest one by one. Numbers do not matter
// here.
func putAll[R any](t *sqldb.Tx, rows []R, one, several string, many int, columns func(R) []any) error {
	for len(rows) > 0 {
		n, statement := 1, one
		if len(rows) >= many {
			n, statement = many, several
		}
		var args []any
		for _, r := range rows[:n] {
			args = append(args, columns(r)...)
		}
		if _, err := t.Exec(statement, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}

	return nil
}

// load reads the rows of the ids, by id. The query ends with loadIDs placeholders for them; unused
// ones are filled with "". Missing rows are left out.
func load[R any](t *sqldb.Tx, query string, ids []string, scan func(sqldb.Scanner) (string, R, error)) (map[string]R, error) {
	found := make(map[string]R, len(ids))
	for chunk := range slices.Chunk(ids, loadIDs) {
		// One statement for any number of ids, so that only one is prepared.
		args := make([]any, loadIDs)
		for i := range args {
			args[i] = ""
			if i < len(chunk) {
				args[i] = chunk[i]
			}
		}

		err := t.Each(func(row sqldb.Scanner) error {
			id, r, err := scan(row)
			found[id] = r
			return err
		}, query, args...)
		if err != nil {
			return nil, err
		}
	}

	return found, nil
}

// addTo returns the statement that adds to a row of sums, and creates it if it is missing.
func addTo(table, key string, columns []string) string {
	var sets []string
	for _, c := range columns {
		sets = append(sets, c+" = "+table+"."+c+" + excluded."+c)
	}
	return "INSERT INTO " + table + " (" + key + ", " + strings.Join(columns, ", ") + ") VALUES " +
		sqldb.Values(1, 1+strings.Count(key, ",")+len(columns)) + " ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(sets, ", ")
}

// millis returns the milliseconds since 1970, or 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis is the inverse of millis.
func fromMillis(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
