package dashboard

import (
	"cmp"
	"iter"
	"net/http"
	"slices"
	"strconv"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/stream"
)

func balanceRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/{mode}/balance", room: "balance", handle: (*Dashboard).showBalance},
		{method: http.MethodGet, path: "/dashboard/{mode}/balance.csv", room: "balance", handle: (*Dashboard).exportMoves},
	}
}

// balanceView is what is the account's in each currency, and the entries behind it.
type balanceView struct {
	Head    head
	Funds   []ledger.Balance
	Entries table
}

// showBalance reads sums and entries from the feed's projection: where links and
// payments lie in a table of their own, both are behind by the relay's lag.
func (d *Dashboard) showBalance(v *visit) error {
	balances, err := d.Payments.Balances(v.Context(), v.account.ID, v.mode)
	if err != nil {
		return err
	}
	r := v.reads()
	var before int64
	if s := r.text("before"); s != "" {
		if before, err = strconv.ParseInt(s, 10, 64); err != nil || before <= 0 {
			r.wrong("", "common.query.page")
		}
	}
	if wrong := r.end(); wrong != nil {
		return v.refuse(wrong, v.path("balance"))
	}
	moves, err := d.Payments.Moves(v.Context(), v.account.ID, v.mode, before, pageSize+1)
	if err != nil {
		return err
	}
	p := balanceView{Head: head{Title: v.print.T("balance.title"), Lead: v.print.T("balance.lead")}, Entries: v.moveTable(moves, before)}
	for _, b := range balances {
		p.Funds = append(p.Funds, b)
	}
	slices.SortFunc(p.Funds, func(a, b ledger.Balance) int { return cmp.Compare(a.Available.Currency, b.Available.Currency) })
	return v.render(http.StatusOK, p.Head.Title, balancePage(p))
}

func (v *visit) moveTable(moves []stream.Event, before int64) table {
	t := table{ID: "entries", Caption: v.print.T("balance.entries"), CSV: v.path("balance.csv"),
		Columns: []column{{Label: v.print.T("balance.kind")}, {Label: v.print.T("balance.payment")}, {Label: v.print.T("balance.available"), Number: true},
			{Label: v.print.T("balance.pending"), Number: true}, {Label: v.print.T("balance.date"), Number: true}},
		Empty: empty{Icon: "scale", Headline: v.print.T("balance.none"), Lead: v.print.T("balance.noneLead"), Actions: []button{
			{Text: v.print.T("links.new"), Href: v.path("links", "new"), Kind: "primary", Icon: "plus"}}}}
	if before > 0 {
		t.Pager.Newest = v.path("balance")
	}
	if len(moves) > pageSize {
		moves = moves[:pageSize]
		t.Pager.Older = v.path("balance") + "?before=" + strconv.FormatInt(moves[pageSize-1].Seq, 10)
	}
	for _, e := range moves {
		for _, m := range slices.Backward(e.Transfers) {
			cells := transferCells(v, v.account.ID, m, e.CreatedAt)
			cells = slices.Insert(cells, 1, templ.Component(linked(v.path("payments", e.Object), "…\u2060"+e.Object[max(len(e.Object)-8, 0):])))
			t.Rows = append(t.Rows, tableRow{ID: m.ID, Cells: cells})
		}
	}
	return t
}

var moveColumns = []string{"seq", "createdAt", "payment", "transfer", "kind", "phase", "currency", "available", "pending"}

func (d *Dashboard) exportMoves(v *visit) error {
	if wrong := v.reads().end(); wrong != nil {
		return v.refuse(wrong, v.path("balance"))
	}
	return v.csv("balance", moveColumns, v.everyMove())
}

func (v *visit) everyMove() iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		before := int64(0)
		for {
			moves, err := v.d.Payments.Moves(v.Context(), v.account.ID, v.mode, before, movesPage)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range moves {
				for _, m := range slices.Backward(e.Transfers) {
					available, pending := m.Effect(v.account.ID)
					row := []string{strconv.FormatInt(e.Seq, 10), link.FormatTime(e.CreatedAt), e.Object, m.ID, string(m.Kind), string(m.Phase), string(m.Currency),
						money.Of(available, m.Currency).Decimal(), money.Of(pending, m.Currency).Decimal()}
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
