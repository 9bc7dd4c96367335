package dynamo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/stream"
)

// DynamoDB Local creates one shard for a table, so the walk over many is tested against a server
// that speaks the stream's protocol and has a tree of them.

type served struct {
	id, parent string
	closed     bool
	records    []map[string]any
	first      int
}

type streamServer struct {
	mu     sync.Mutex
	shards []*served
	next   int
	reads  []string // shards in the order of their first read
}

func (v *streamServer) shard(id string) *served {
	for _, s := range v.shards {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (v *streamServer) open(id, parent string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shards = append(v.shards, &served{id: id, parent: parent, first: v.next})
}

func (v *streamServer) end(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shard(id).closed = true
}

// put adds a change to a shard: an item as it is and as it was.
func (v *streamServer) put(id string, now, was item) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next++
	change := map[string]any{"SequenceNumber": strconv.Itoa(v.next), "NewImage": spelled(now)}
	if was != nil {
		change["OldImage"] = spelled(was)
	}
	s := v.shard(id)
	s.records = append(s.records, map[string]any{"eventName": "MODIFY", "dynamodb": change})
}

func spelled(i item) map[string]any {
	out := map[string]any{}
	for name, v := range i {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			out[name] = map[string]string{"S": v.Value}
		case *types.AttributeValueMemberN:
			out[name] = map[string]string{"N": v.Value}
		case *types.AttributeValueMemberB:
			out[name] = map[string]string{"B": base64.StdEncoding.EncodeToString(v.Value)}
		}
	}
	return out
}

func (v *streamServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var in struct{ ShardId, ShardIteratorType, SequenceNumber, ShardIterator string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var out any
	switch operation {
	case "DescribeTable":
		out = map[string]any{
			"Table": map[string]any{"TableStatus": "ACTIVE", "LatestStreamArn": "arn:aws:dynamodb:x:1:table/t/stream/2030-01-01T00:00:00.000"},
		}
	case "Scan":
		out = map[string]any{"Items": []any{}, "Count": 0}
	case "DescribeStream":
		list := []any{}
		for _, s := range v.shards {
			one := map[string]any{"ShardId": s.id, "SequenceNumberRange": map[string]string{"StartingSequenceNumber": strconv.Itoa(s.first)}}
			if s.parent != "" {
				one["ParentShardId"] = s.parent
			}
			list = append(list, one)
		}
		out = map[string]any{"StreamDescription": map[string]any{"Shards": list}}
	case "GetShardIterator":
		from := 0
		if in.ShardIteratorType == "AFTER_SEQUENCE_NUMBER" {
			from, _ = strconv.Atoi(in.SequenceNumber)
		}
		out = map[string]any{"ShardIterator": fmt.Sprintf("%s/%d", in.ShardId, from)}
	case "GetRecords":
		out = v.records(in.ShardIterator)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(out)
}

// records returns at most two records of a shard.
func (v *streamServer) records(iterator string) any {
	name, after, _ := strings.Cut(iterator, "/")
	from, _ := strconv.Atoi(after)
	if !slices.Contains(v.reads, name) {
		v.reads = append(v.reads, name)
	}
	s := v.shard(name)
	given := []map[string]any{}
	more := false
	for _, r := range s.records {
		n, _ := strconv.Atoi(r["dynamodb"].(map[string]any)["SequenceNumber"].(string))
		if n <= from && from > 0 {
			continue
		}
		if len(given) == 2 {
			more = true
			break
		}
		given = append(given, r)
	}
	if len(given) > 0 {
		from, _ = strconv.Atoi(given[len(given)-1]["dynamodb"].(map[string]any)["SequenceNumber"].(string))
	}
	out := map[string]any{"Records": given}
	if !s.closed || more {
		out["NextShardIterator"] = fmt.Sprintf("%s/%d", name, max(from, 1))
	}
	return out
}

// history returns the item of a link after each of its events.
func history(t *testing.T, n int) (items []item) {
	t.Helper()
	l := link.Link{ID: id.New(id.Link), Account: id.New(id.Account), Mode: link.Test, Amount: money.Of(1, "EUR"), ExpiresAt: noon}
	var events []stream.Event
	for i := range n {
		events = append(events, stream.Event{ID: id.New(id.Event), Type: "link.told", Account: l.Account, Mode: l.Mode, Object: l.ID,
			ObjectSeq: int64(i) + 1, CreatedAt: noon, Data: []byte(`{}`)})
		row, err := encodeLink(l, events)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, row)
	}
	return items
}

// TestWalkOverSplittingShards checks that an object's changes move from a shard to its children
// and grandchildren, and arrive in order, once each, although the walk stops and starts again in
// between.
func TestWalkOverSplittingShards(t *testing.T) {
	v := &streamServer{}
	server := httptest.NewServer(v)
	defer server.Close()
	s, err := Open(t.Context(), "dynamodb://table?region=x&accessKey=a&secretKey=b&endpoint="+server.URL)
	if err != nil {
		t.Fatal(err)
	}
	a, b := history(t, 9), history(t, 9)
	put := func(shard string, of []item, from, to int) {
		for i := from; i < to; i++ {
			var was item
			if i > 0 {
				was = of[i-1]
			}
			v.put(shard, of[i], was)
		}
	}
	v.open("root", "")
	put("root", a, 0, 3)
	put("root", b, 0, 3)
	v.end("root")
	v.open("left", "root")
	v.open("right", "root")
	put("right", b, 3, 5)
	put("left", a, 3, 6)
	v.end("left")
	v.open("leaf", "left")
	put("leaf", a, 6, 9)

	at := map[string]string{}
	seen := map[string]int64{}
	total := 0
	walk := func(until int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		err := s.Follow(ctx, at, func(_ context.Context, batch stream.Batch) error {
			for _, e := range batch.Events {
				if e.ObjectSeq != seen[e.Object]+1 {
					t.Errorf("%s: number %d comes after %d", e.Object, e.ObjectSeq, seen[e.Object])
				}
				seen[e.Object] = e.ObjectSeq
				total++
			}
			for shard, checkpoint := range batch.Checkpoints {
				if checkpoint == "" {
					delete(at, shard)
				} else {
					at[shard] = checkpoint
				}
			}
			if total >= until {
				cancel()
			}
			return nil
		})
		if err != nil || total < until {
			t.Fatalf("%d events, want %d, %v", total, until, err)
		}
	}
	walk(2)
	walk(7)
	walk(14)
	put("right", b, 5, 9) // an open shard grows
	walk(18)
	if total != 18 {
		t.Errorf("%d events, want 18", total)
	}
	if i, j := slices.Index(v.reads, "left"), slices.Index(v.reads, "leaf"); v.reads[0] != "root" || i < 0 || j < i {
		t.Errorf("the shards were read in the order %v", v.reads)
	}
}
