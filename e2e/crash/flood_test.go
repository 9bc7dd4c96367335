//go:build linux && !race

package crash

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fraud/shield"
)

// The flood of F28, and the honest payers.
const (
	floodAttempts  = 50_000
	floodAddresses = 1000
	floodCards     = 5000
	floodRounds    = 8
	floodWorkers   = 8
	floodPace      = 500 // attempts per second: attackers run on the same two cores as payers
	floodProved    = 250 // one attempt in this many comes with a proof
	quietTime      = 4 * time.Second
	honestPace     = 40 // payments per second, with and without the flood
	honestLinks    = 100
)

// flood sends requests from its own addresses, through a trusted proxy.
type flood struct {
	t    *testing.T
	url  string
	http *http.Client
	sent atomic.Int64 // attempts on the attacked link
}

func newFlood(t *testing.T, p *harness.Process) *flood {
	transport := &http.Transport{MaxIdleConnsPerHost: 4 * floodWorkers}
	t.Cleanup(transport.CloseIdleConnections)
	return &flood{t: t, url: p.URL, http: &http.Client{Transport: transport, Timeout: await.Patience}}
}

// pay tries to pay, and returns the status and the body's code or status.
func (f *flood) pay(path, address, attempt, number, proof string) (status int, word string, err error) {
	body := fmt.Sprintf(`{"attempt":%q,"card":{"number":%q,"expMonth":12,"expYear":2034,"cvc":"7391"},"proof":%q}`, attempt, number, proof)
	status, raw, err := f.send(http.MethodPost, path+"/payments", address, body)
	if err != nil {
		return 0, "", err
	}
	var said struct{ Code, Status json.RawMessage }
	if err := json.Unmarshal(raw, &said); err != nil {
		return status, "", err
	}
	if said.Code != nil {
		return status, strings.Trim(string(said.Code), `"`), nil
	}
	return status, strings.Trim(string(said.Status), `"`), nil
}

func (f *flood) send(method, path, address, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", address)
	resp, err := f.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, raw, errors.Join(err, resp.Body.Close())
}

// prove requests a puzzle and solves it; "" if there is none.
func (f *flood) prove(path, address, attempt string) (string, error) {
	_, raw, err := f.send(http.MethodGet, path+"/challenge?attempt="+attempt, address, "")
	if err != nil {
		return "", err
	}
	var puzzle struct {
		Seed string
		Bits int
	}
	if err := json.Unmarshal(raw, &puzzle); err != nil || puzzle.Bits == 0 {
		return "", err
	}
	return elsewhere(func() string { return shield.Solve(puzzle.Seed, puzzle.Bits) }), nil
}

// elsewhere works on a low-priority thread: testers have their own machines, and here a proof
// would take one of two processors from the payers.
func elsewhere(work func() string) string {
	done := make(chan string, 1)
	go func() {
		runtime.LockOSThread() // until the goroutine ends, and the thread with it
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19); err != nil {
			panic(err) // nobody may be kept from that
		}
		done <- work()
	}()
	return <-done
}

// testedCard returns the i-th of a tester's cards, spread over the simulator's nine ranges.
func testedCard(i int) string {
	i %= floodCards
	digits := fmt.Sprintf("40000%d%09d", 1+i%9, i)
	sum := 0
	for at, d := range []byte(digits) { // Luhn, the check digit being the 16th
		n := int(d - '0')
		if at%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return digits + fmt.Sprint((10-sum%10)%10)
}

func testersAddress(i int) string {
	i %= floodAddresses
	return fmt.Sprintf("198.18.%d.%d", i%200, 1+i/200)
}

// attack makes that many attempts, paced (0: unpaced), and counts the answers.
func (f *flood) attack(path string, attempts, pace int, counts *sync.Map) error {
	var workers sync.WaitGroup
	failed := make(chan error, floodWorkers)
	start, first := time.Now(), f.sent.Load()
	for range floodWorkers {
		workers.Go(func() {
			for {
				n := int(f.sent.Add(1) - 1)
				if n >= int(first)+attempts {
					f.sent.Add(-1)
					return
				}
				if pace > 0 {
					due := start.Add(time.Duration(n-int(first)) * time.Second / time.Duration(pace))
					timer := time.NewTimer(time.Until(due))
					<-timer.C
				}
				attempt, proof, err := fmt.Sprintf("tester-attempt-%06d", n), "", error(nil)
				if n%floodProved == floodProved-1 {
					proof, err = f.prove(path, testersAddress(n), attempt)
				}
				status, word, payErr := f.pay(path, testersAddress(n), attempt, testedCard(n), proof)
				if err = errors.Join(err, payErr); err != nil {
					failed <- err
					return
				}
				c, _ := counts.LoadOrStore(fmt.Sprint(status, " ", word), &atomic.Int64{})
				c.(*atomic.Int64).Add(1) // just stored
			}
		})
	}
	workers.Wait()
	close(failed)
	return <-failed
}

// honest pays other links until stopped, at a steady pace, each time from another address. It
// returns how long each payment took.
func (f *flood) honest(paths []string, from int, stop <-chan struct{}) (took []time.Duration, failures []string) {
	var mu sync.Mutex
	var payers sync.WaitGroup
	tick := time.NewTicker(time.Second / honestPace)
	defer tick.Stop()
	for n := from; ; n++ {
		select {
		case <-stop:
			payers.Wait()
			return took, failures
		case <-tick.C:
		}
		payers.Go(func() {
			start := time.Now()
			status, word, err := f.pay(
				paths[n%len(paths)],
				fmt.Sprintf("203.0.%d.%d", n%200, 1+n/200%250),
				fmt.Sprintf("honest-attempt-%06d", n),
				"4242424242424242",
				"",
			)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(start))
			if err != nil || status != http.StatusOK || word != "succeeded" {
				failures = append(failures, fmt.Sprint(status, " ", word, " ", err))
			}
		})
	}
}

// reached returns the payments of a link in the store: a refusal creates none.
func reached(t *testing.T, key *harness.Client, link string) (n int) {
	t.Helper()
	for cursor := ""; ; {
		page := key.OK("GET", "/api/payments?limit=100&link="+link+cursor, "")
		n += len(harness.List(t, page, "data"))
		next, more := page["nextCursor"].(string)
		if !more || next == "" {
			return n
		}
		cursor = "&cursor=" + next
	}
}

func collect(counts *sync.Map) (all map[string]int64) {
	all = map[string]int64{}
	counts.Range(func(k, v any) bool {
		all[k.(string)] = v.(*atomic.Int64).Load() // what attack stores
		return true
	})
	return all
}

func percentile99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100]
}

// TestF28CardTestingFlood makes 50,000 attempts on one link, from 1000 addresses and with 5000
// cards, some with proofs. Only the shield defends: the gateway's limits by link and address are
// off. Quiet times and the flood alternate, so that other load on the machine affects both alike.
func TestF28CardTestingFlood(t *testing.T) {
	p := harness.Start(t, "--log-level", "warn", "--trusted-proxies", "127.0.0.0/8",
		"--limit", "pay=off", "--limit", "link=off", "--limit", "address=off")
	_, key := p.Merchant(t, "tested")
	f := newFlood(t, p)
	attacked := key.Link(`"amount":"1.00","maxUses":null`)
	var others []string
	for range honestLinks {
		others = append(others, harness.TokenPath(t, key.Link(`"amount":"10.00","maxUses":null`)))
	}
	var counts sync.Map
	var quiet, flooded []time.Duration
	start := time.Now()
	for round := range floodRounds {
		stop := make(chan struct{})
		wait := time.AfterFunc(quietTime, func() { close(stop) })
		took, failures := f.honest(others, round*10_000, stop)
		wait.Stop()
		quiet = append(quiet, took...)
		stop = make(chan struct{})
		var err error
		go func() {
			defer close(stop)
			err = f.attack(harness.TokenPath(t, attacked), floodAttempts/floodRounds, floodPace, &counts)
		}()
		took, more := f.honest(others, round*10_000+5000, stop)
		flooded = append(flooded, took...)
		if failures = append(failures, more...); err != nil || len(failures) > 0 {
			t.Fatalf("the flood: %v; honest payers heard %q", err, failures)
		}
	}
	all, n := collect(&counts), reached(t, key, harness.Str(t, attacked, "id"))
	before, during := percentile99(quiet), percentile99(flooded)
	t.Logf("in %s: %d attempts, of which %d reached the issuer: %v", time.Since(start).Round(time.Second), f.sent.Load(), n, all)
	t.Logf("honest payers: %d quiet, p99 %s; %d in the flood, p99 %s", len(quiet), before, len(flooded), during)
	refused := all["429 attempts_exceeded"]
	if f.sent.Load() != floodAttempts || int64(n)+refused != floodAttempts {
		t.Errorf("%d payments and %d refusals of %d attempts", n, refused, f.sent.Load())
	}
	if n >= floodAttempts/100 {
		t.Errorf("%d of %d attempts reached the issuer, want less than 1 %%", n, floodAttempts)
	}
	if during > 2*before {
		t.Errorf("honest payers waited %s in the flood (p99), %s without it", during, before)
	}
}

// TestF28LimitsStandBefore checks that the gateway's own limits stop most of a flood before any
// store is read, and the shield handles the rest.
func TestF28LimitsStandBefore(t *testing.T) {
	p := harness.Start(t, "--log-level", "warn", "--trusted-proxies", "127.0.0.0/8")
	_, key := p.Merchant(t, "tested")
	f := newFlood(t, p)
	attacked := key.Link(`"amount":"1.00","maxUses":null`)
	var counts sync.Map
	const attempts = 10_000
	if err := f.attack(harness.TokenPath(t, attacked), attempts, 0, &counts); err != nil {
		t.Fatal(err)
	}
	all, n := collect(&counts), reached(t, key, harness.Str(t, attacked, "id"))
	t.Logf("%d attempts, of which %d reached the issuer: %v", attempts, n, all)
	limited, refused := all["429 rate_limited"], all["429 attempts_exceeded"]
	if limited == 0 || refused == 0 || int64(n)+limited+refused != attempts || n >= attempts/100 {
		t.Errorf("%d payments, %d refused by limits, %d by the shield", n, limited, refused)
	}
}
