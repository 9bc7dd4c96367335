package lake

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// table holds the rows of a table, by day of UTC.
type table[T any] map[string][]T

// add adds rows of a day.
func (t table[T]) add(day string, rows ...T) {
	if len(rows) > 0 {
		t[day] = append(t[day], rows...)
	}
}

// gathered is what was read of the feed for the next files: all events after from, up to to.
type gathered struct {
	from, to      int64
	events, bytes int
	links         table[linkRow]
	payments      table[paymentRow]
	transfers     table[transferRow]
	refunds       table[refundRow]
	disputes      table[disputeRow]
}

// gather returns an empty collection that begins after a position.
func gather(from int64) *gathered {
	return &gathered{from: from, to: from, links: table[linkRow]{}, payments: table[paymentRow]{}, transfers: table[transferRow]{},
		refunds: table[refundRow]{}, disputes: table[disputeRow]{}}
}

// full reports whether the files of a commit are large enough.
func (g *gathered) full() bool { return g.events >= maxEvents || g.bytes >= maxBytes }

// file is a file to be written.
type file struct {
	name string
	body []byte
}

// files returns the files of everything gathered, always in the same order. The same events give
// the same names and bytes, also after a restart.
func (g *gathered) files() (all []file, err error) {
	for _, encode := range []func() ([]file, error){
		func() ([]file, error) { return encode(g, "links", g.links) },
		func() ([]file, error) { return encode(g, "payments", g.payments) },
		func() ([]file, error) { return encode(g, "transfers", g.transfers) },
		func() ([]file, error) { return encode(g, "refunds", g.refunds) },
		func() ([]file, error) { return encode(g, "disputes", g.disputes) },
	} {
		files, err := encode()
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}

	return all, nil
}

// encode writes a file per day, named by table, day and the positions that the files of the commit
// cover. The same rows give the same bytes.
func encode[T any](g *gathered, name string, t table[T]) (files []file, err error) {
	for _, day := range slices.Sorted(maps.Keys(t)) {
		var b bytes.Buffer
		w := parquet.NewGenericWriter[T](&b, parquet.Compression(&zstd.Codec{}), parquet.CreatedBy("paylink", strconv.Itoa(Schema), ""),
			parquet.KeyValueMetadata("paylink.schema", strconv.Itoa(Schema)), parquet.KeyValueMetadata("paylink.table", name),
			parquet.KeyValueMetadata("paylink.positions", fmt.Sprintf("%d..%d", g.from+1, g.to)))
		if _, err := w.Write(t[day]); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		files = append(files, file{fmt.Sprintf("table=%s/day=%s/%020d-%020d.parquet", name, day, g.from+1, g.to), b.Bytes()})
	}

	return files, nil
}
