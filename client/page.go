package client

import (
	"context"
	"iter"
	"net/url"
	"time"
)

// Page is a part of a list. To read the whole list, use its All.
type Page[T any] struct {
	Object     string `json:"object"`
	Data       []T    `json:"data"`
	HasMore    bool   `json:"hasMore"`
	NextCursor string `json:"nextCursor"` // of the next page, if HasMore
}

// period starts the query of a list of payments created in a period.
func period(from, to time.Time, limit int, cursor string) url.Values {
	q := url.Values{}
	setTime(q, "from", from)
	setTime(q, "to", to)
	setInt(q, "limit", int64(limit))
	set(q, "cursor", cursor)
	return q
}

// pageItems is how many items All requests at a time.
const pageItems = 100

// all iterates over the pages of a list. An error comes last.
func all[T any](ctx context.Context, c *Client, path string, query url.Values, options []CallOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q := url.Values{}
		for name, values := range query {
			q[name] = values
		}
		if q.Get("limit") == "" {
			setInt(q, "limit", pageItems)
		}
		for {
			page, err := get[Page[T]](ctx, c, path, q, options)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Data {
				if !yield(item, nil) {
					return
				}
			}
			if !page.HasMore {
				return
			}
			q.Del("afterSeq") // the cursor says where to continue
			q.Set("cursor", page.NextCursor)
		}
	}
}
