package overview

import (
	"cmp"
	"iter"
	"net/http"
	"slices"
	"strconv"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/stream"
)

// movesPage is how many entries of a file are in memory at once.
const movesPage = 500

// balanceRoutes returns the page of the balance and its file.
func (d *Pages) balanceRoutes() []frame.Route {
	return []frame.Route{
		frame.Get("/dashboard/{mode}/balance", "balance", d.on((*Pages).showBalance)),
		frame.Get("/dashboard/{mode}/balance.csv", "balance", d.on((*Pages).exportMoves)),
	}
}

// balanceView is the account's funds in each currency, and the ledger's entries behind
// them.
type balanceView struct {
	Head    parts.Head
	Funds   []ledger.Balance
	Entries parts.Table
}

// showBalance shows sums and entries from the feed's projection. With links and payments in
// DynamoDB, both are behind by the relay's lag.
func (d *Pages) showBalance(v *visit) error {
	balances, err := d.Payments.Balances(v.Context(), v.Account.ID, v.Mode)
	if err != nil {
		return err
	}

	r := v.Reads()
	// The number of an event, which is the position in the feed; 0 is the newest.
	var before int64
	if s := r.Text("before"); s != "" {
		if before, err = strconv.ParseInt(s, 10, 64); err != nil || before <= 0 {
			r.Wrong("", "common.query.page")
		}
	}

	if wrong := r.End(); wrong != nil {
		return v.Refuse(wrong, v.Path("balance"))
	}

	moves, err := d.Payments.Moves(v.Context(), v.Account.ID, v.Mode, before, frame.PageSize+1)
	if err != nil {
		return err
	}

	p := balanceView{Head: parts.Head{Title: v.Print.T("balance.title"), Lead: v.Print.T("balance.lead")}, Entries: v.moveTable(moves, before)}
	for _, b := range balances {
		p.Funds = append(p.Funds, b)
	}
	// The balances are a map, which has no order.
	slices.SortFunc(p.Funds, func(a, b ledger.Balance) int { return cmp.Compare(a.Available.Currency, b.Available.Currency) })
	return v.Render(http.StatusOK, p.Head.Title, balancePage(p))
}

// moveTable returns the entries of a page, newest first. An event may have several
// transfers, which stay on one page.
func (v *visit) moveTable(moves []stream.Event, before int64) parts.Table {
	t := parts.Table{ID: "entries", Caption: v.Print.T("balance.entries"), CSV: v.Path("balance.csv"),
		Columns: []parts.Column{
			{Label: v.Print.T("balance.kind")},
			{Label: v.Print.T("balance.payment")},
			{Label: v.Print.T("balance.available"), Number: true},
			{Label: v.Print.T("balance.pending"), Number: true},
			{Label: v.Print.T("balance.date"), Number: true},
		},
		Empty: parts.Empty{Icon: "scale", Headline: v.Print.T("balance.none"), Lead: v.Print.T("balance.noneLead"), Actions: []parts.Button{
			{Text: v.Print.T("links.new"), Href: v.Path("links", "new"), Kind: "primary", Icon: "plus"}}}}
	if before > 0 {
		t.Pager.Newest = v.Path("balance")
	}
	if len(moves) > frame.PageSize {
		moves = moves[:frame.PageSize]
		t.Pager.Older = v.Path("balance") + "?before=" + strconv.FormatInt(moves[frame.PageSize-1].Seq, 10)
	}
	for _, e := range moves {
		for _, m := range slices.Backward(e.Transfers) {
			// The payment comes second here; the page of a payment, which has the same
			// rows, needs no such cell.
			cells := slip.TransferCells(v.Visit, v.Account.ID, m, e.CreatedAt)
			cells = slices.Insert(
				cells,
				1,
				templ.Component(parts.Linked(v.Path("payments", e.Object), "…\u2060"+e.Object[max(len(e.Object)-8, 0):])),
			)
			t.Rows = append(t.Rows, parts.Row{ID: m.ID, Cells: cells})
		}
	}

	return t
}

// moveColumns are the columns of the file of entries.
var moveColumns = []string{"seq", "createdAt", "payment", "transfer", "kind", "phase", "currency", "available", "pending"}

// exportMoves streams all entries as CSV, newest first.
func (d *Pages) exportMoves(v *visit) error {
	if wrong := v.Reads().End(); wrong != nil {
		return v.Refuse(wrong, v.Path("balance"))
	}
	return v.CSV("balance", moveColumns, v.everyMove())
}

// everyMove yields the entries as lines of the file, a page of events at a time.
func (v *visit) everyMove() iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		before := int64(0)
		for {
			moves, err := v.d.Payments.Moves(v.Context(), v.Account.ID, v.Mode, before, movesPage)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range moves {
				for _, m := range slices.Backward(e.Transfers) {
					// A transfer is between two accounts of the ledger. The file has its
					// effect on this one.
					available, pending := m.Effect(v.Account.ID)
					row := []string{
						strconv.FormatInt(e.Seq, 10),
						link.FormatTime(e.CreatedAt),
						e.Object,
						m.ID,
						string(m.Kind),
						string(m.Phase),
						string(m.Currency),
						money.Of(available, m.Currency).Decimal(),
						money.Of(pending, m.Currency).Decimal(),
					}
					if !yield(row, nil) {
						return
					}
				}
			}
			if len(moves) < movesPage {
				return
			}
			before = moves[len(moves)-1].Seq
		}
	}
}
