package projection

import (
	"context"
	"maps"
	"slices"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// linkRow is a link with its owner. seen are the steps that browsers reported, and steps those that
// events prove.
type linkRow struct {
	owner int64
	report.Link
}

// links updates the rows of links from their own events and from the steps that their payments
// prove. It counts only what changes. An event that cannot be read is logged and left out.
func (p *projector) links(r *Reports, g *gathered, steps map[string]report.Step, payments []reportRow) error {
	// A payment's link may change by the payment alone, or by its own events.
	owner := map[string]int64{}
	for _, row := range payments {
		owner[row.Link] = row.owner
	}
	for id, events := range g.links {
		owner[id] = p.owners[ownerKey{events[0].Account, events[0].Mode}]
	}

	ids := slices.Sorted(maps.Keys(owner))
	before, err := load(p.t, linksByIDs, ids, scanLinkByID)
	if err != nil {
		return err
	}

	var changed []linkRow
	for _, id := range ids {
		row := before[id]
		if row.ID != "" && row.owner != owner[id] {
			continue // ids are random: it does not exist
		}
		row.ID, row.owner = id, owner[id]
		for _, e := range g.links[id] {
			next, err := report.ApplyLink(row.Link, e)
			if err != nil {
				r.log.Error("an event was left out of the reports", "event", e.ID, "error", err)
				continue
			}
			row.Link = next
		}
		row.Steps |= steps[id]

		if row != before[id] {
			p.countLink(before[id].Link, row)
			changed = append(changed, row)
		}
	}

	return p.storeLinks(changed)
}

// countLink records the effect of a link's change on the sums of its hour.
func (p *projector) countLink(old report.Link, row linkRow) {
	by := report.FiguresOfLink(row.Link).Minus(report.FiguresOfLink(old))
	if by.Links != (report.Figures{}).Links {
		p.change(hourKey{row.owner, hourOf(row.CreatedAt), row.Currency}, by)
	}
}

// scanLinkByID reads a row of linksByIDs, for load.
func scanLinkByID(row sqldb.Scanner) (string, linkRow, error) {
	r, err := scanReportLink(row)
	return r.ID, r, err
}

// scanReportLink reads a link's row.
func scanReportLink(rows sqldb.Scanner) (row linkRow, err error) {
	var at int64
	err = rows.Scan(&row.ID, &row.owner, &row.Currency, &at, &row.Steps, &row.Seen)
	row.CreatedAt = fromMillis(at)
	return row, err
}

// columns returns the values of an insert.
func (r linkRow) columns() []any {
	return []any{r.ID, r.owner, string(r.Currency), millis(r.CreatedAt), int64(r.Steps), int64(r.Seen)}
}

// The statements for one link, for many, and to read loadIDs of them.
var (
	putReportLink, putReportLinks = putLinkRows(1), putLinkRows(reportRows)
	linksByIDs                    = "SELECT id, owner, currency, created_at, steps, seen FROM report_links WHERE id IN (" + sqldb.Params(
		1,
		loadIDs,
	) + ")"
)

// putLinkRows returns the statement for n links.
func putLinkRows(n int) string {
	return "INSERT INTO report_links (id, owner, currency, created_at, steps, seen) VALUES " + sqldb.Values(n, linkFields) + `
		ON CONFLICT (id) DO UPDATE SET currency = excluded.currency, created_at = excluded.created_at, steps = excluded.steps, seen = excluded.seen`
}

// storeLinks writes the rows.
func (p *projector) storeLinks(rows []linkRow) error {
	return putAll(p.t, rows, putReportLink, putReportLinks, reportRows, linkRow.columns)
}

// Seen implements report.Service. A link that the feed has not reached yet counts as soon as it
// does. A step that is already known changes nothing, so a repetition is harmless. More than
// report.MaxSightings links at once are refused. A browser can only report that a link was opened
// or its form started.
func (r *Reports) Seen(ctx context.Context, all []report.Sighting) error {
	if len(all) > report.MaxSightings {
		return fault.Invalid("sightings", "value_invalid", "sightings must have at most %d entries.", report.MaxSightings)
	}

	owner, step := map[string]int64{}, map[string]report.Step{}
	for _, s := range all {
		n, err := r.ensureOwner(ctx, ownerKey{s.Account, s.Mode})
		if err != nil {
			return err
		}
		owner[s.Link] = n
		step[s.Link] |= s.Step & (report.Opened | report.Started)
	}

	ids := slices.Sorted(maps.Keys(owner))
	return r.write(ctx, func(t *sqldb.Tx) error {
		p := newProjector(t, nil)
		before, err := load(p.t, linksByIDs, ids, scanLinkByID)
		if err != nil {
			return err
		}

		var changed []linkRow
		for _, id := range ids {
			row := before[id]
			if row.ID != "" && row.owner != owner[id] {
				continue
			}
			row.ID, row.owner = id, owner[id]
			row.Seen |= step[id]
			if row != before[id] {
				p.countLink(before[id].Link, row)
				changed = append(changed, row)
			}
		}

		if err := p.storeLinks(changed); err != nil {
			return err
		}
		return p.add()
	})
}
