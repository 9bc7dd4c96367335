// Package crash ends processes, disks and machines at bad moments, moves and restores stores, and
// compares the result with what was acknowledged.
package crash

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// The parameters of the test.
const (
	killRounds     = 20
	killClients    = 16
	killAfterMin   = 50 * time.Millisecond
	killAfterMax   = 400 * time.Millisecond
	killCallLimit  = 20 * time.Second
	killSettleTime = 90 * time.Second // a lease that the dead process held lasts 45 s
	killPace       = 500 * time.Millisecond
	killSample     = 60 // older objects that each round checks again
)

// killCards: mostly approved; some declined, some whose answer the issuer loses, some whose
// request never arrives.
var killCards = []string{"4242424242424242", "4242424242424242", "4242424242424242", "4000000000000002", "4242424242424242",
	"4000000000006108", "5555555555554444", "4000000000006116"}

// killReach maps an acknowledged status to those that the payment may have later. What is not
// listed may become anything.
var killReach = map[string][]string{
	"succeeded":          {"succeeded", "partially_refunded", "refunded"},
	"partially_refunded": {"partially_refunded", "refunded"},
	"refunded":           {"refunded"},
	"declined":           {"declined"},
	"canceled":           {"canceled"},
}

// acknowledged is what the server acknowledged before it died, and the requests without an answer.
type acknowledged struct {
	mu       sync.Mutex
	links    map[string]toldLink
	payments map[string]toldPayment
	refunds  map[string]toldRefund
	unheard  []killCall
	again    int // requests sent a second time
	answers  map[string]int
	wrong    []string
}

type toldLink struct{ amount, path string }

type toldPayment struct{ link, amount, status string }

type toldRefund struct{ payment, amount string }

// killCall is a request with a lost answer, to be sent again unchanged.
type killCall struct{ kind, path, key, body, link, amount string }

func (k *acknowledged) locked(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

func (k *acknowledged) say(format string, args ...any) {
	k.locked(func() { k.wrong = append(k.wrong, fmt.Sprintf(format, args...)) })
}

// killed is a server that will be killed, with a key for it.
type killed struct {
	t          testing.TB
	url, data  string
	cmd        *exec.Cmd
	logs       *harness.Buffer
	ended      chan error
	http       *http.Client
	id, secret string
	dying      atomic.Bool
	fleet      *harness.Fleet // its parts die instead: then an answer may be lost at any time
	turn       atomic.Int64
}

func startKilled(t testing.TB, data, address string) *killed {
	t.Helper()
	s := &killed{t: t, url: "http://" + address, data: data, logs: &harness.Buffer{}, ended: make(chan error, 1),
		http: &http.Client{Timeout: killCallLimit, Transport: &http.Transport{MaxIdleConnsPerHost: killClients,
			DialContext: (&net.Dialer{Timeout: killCallLimit}).DialContext}}}
	s.cmd = exec.Command(
		harness.Binary(t),
		"serve",
		"--data",
		data,
		"--listen",
		address,
		"--demo",
		"--allow-private-webhooks",
	) // the test kills it
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = harness.Environ(t), s.logs, s.logs
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	await.Until(t, "the server is ready", func() bool {
		select {
		case err := <-s.ended:
			t.Fatalf("the server does not start again: %v\n%s", err, s.logs)
		default:
		}
		status, _, err := s.call(http.MethodGet, "/readyz", "", "")
		return err == nil && status == http.StatusOK
	})
	raw, err := os.ReadFile(filepath.Join(data, "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	var demo struct{ KeyID, Secret string }
	if err := json.Unmarshal(raw, &demo); err != nil {
		t.Fatal(err)
	}
	s.id, s.secret = demo.KeyID, demo.Secret
	return s
}

// kill ends the process at once: nothing of it keeps running.
func (s *killed) kill() {
	s.dying.Store(true)
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Errorf("kill: %v", err)
	}
	if err := <-s.ended; err == nil {
		s.t.Error("the server ended well although it was killed")
	}
	s.http.CloseIdleConnections()
}

// call sends one request; an error means that no complete answer came.
func (s *killed) call(method, path, key, body string) (int, []byte, error) {
	var send io.Reader
	if body != "" {
		send = strings.NewReader(body)
	}
	at := s.url
	if s.fleet != nil { // a load balancer is in front of the gateways
		at = s.fleet.GatewayURL(int(s.turn.Add(1)))
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, at+path, send)
	if err != nil {
		return 0, nil, err
	}
	if strings.HasPrefix(path, "/api/") {
		r.SetBasicAuth(s.id, s.secret)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := s.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	raw, err := io.ReadAll(res.Body)
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	return res.StatusCode, raw, err
}

// killObject is the part of any answer that the test reads.
type killObject struct {
	ID, URL, Amount, Status, Payment, Link string
	Refunds, Data                          []killObject
}

// send makes a call and records what was acknowledged, or that no answer came. It returns false
// if the client should stop or cannot continue.
func (s *killed) send(k *acknowledged, c killCall) (killObject, bool) {
	status, raw, err := s.call(http.MethodPost, c.path, c.key, c.body)
	var o killObject
	if err != nil {
		k.locked(func() { k.unheard = append(k.unheard, c) })
		if !s.dying.Load() && s.fleet == nil {
			k.say("%s %s: %v although the server lives", c.kind, c.path, err)
		}
		return o, false
	}
	k.locked(func() { k.answers[c.kind+" "+strconv.Itoa(status)]++ })
	switch {
	case status == http.StatusOK:
		if err := json.Unmarshal(raw, &o); err != nil {
			k.say("%s: %q: %v", c.kind, raw, err)
			return o, false
		}
		k.record(c, o)
		return o, true
	case status == http.StatusPaymentRequired && c.kind == "pay":
		var decline struct{ Payment string }
		if err := json.Unmarshal(raw, &decline); err != nil {
			k.say("%s: %q: %v", c.kind, raw, err)
			return o, false
		}
		k.locked(func() { k.payments[decline.Payment] = toldPayment{link: c.link, amount: c.amount, status: "declined"} })
	case status == http.StatusConflict && c.kind != "create", status == http.StatusServiceUnavailable:
		// Refused with a reason: nothing was promised.
	default:
		k.say("%s: %d %s", c.kind, status, raw)
	}
	return o, false
}

func (k *acknowledged) record(c killCall, o killObject) {
	k.locked(func() {
		switch c.kind {
		case "create":
			_, path, _ := strings.Cut(o.URL, "/l/")
			k.links[o.ID] = toldLink{amount: o.Amount, path: "/l/" + path}
		case "pay":
			k.payments[o.ID] = toldPayment{link: c.link, amount: c.amount, status: o.Status}
		case "refund":
			k.refunds[o.ID] = toldRefund{payment: o.Payment, amount: o.Amount}
		}
	})
}

// customer is one client: it creates links, pays them and refunds some, until the server dies.
func (s *killed) customer(k *acknowledged, name string, random *rand.Rand) {
	for n := 0; !s.dying.Load(); n++ {
		key := fmt.Sprintf("%s-%d", name, n)
		amount := fmt.Sprintf("%d.%02d", 1+random.IntN(90), random.IntN(100))
		l, ok := s.send(k, killCall{kind: "create", path: "/api/payment", key: key, amount: amount,
			body: fmt.Sprintf(`{"amount":%q,"currency":"EUR","reference":%q}`, amount, key)})
		if !ok {
			continue
		}
		p, ok := s.send(k, killCall{kind: "pay", path: k.path(l.ID) + "/payments", link: l.ID, amount: amount,
			body: fmt.Sprintf(`{"attempt":"kill9-attempt-%s","card":{"number":%q,"expMonth":12,"expYear":2050,"cvc":"123"}}`,
				key, killCards[random.IntN(len(killCards))])})
		if !ok || p.Status != "succeeded" || random.IntN(3) > 0 {
			continue
		}
		body := `{}`
		if random.IntN(2) == 0 {
			body = `{"amount":"0.50"}`
		}
		s.send(k, killCall{kind: "refund", path: "/api/payments/" + p.ID + "/refunds", key: "refund-" + key, body: body})
	}
}

func (k *acknowledged) path(link string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.links[link].path
}

// TestI10Kill9UnderLoad kills the server at random moments under load. What it had acknowledged
// is there when it is back, and in the end its books agree with the issuer's.
func TestI10Kill9UnderLoad(t *testing.T) {
	t.Parallel()
	killUnderLoad(t, killRounds)
}

func killUnderLoad(t *testing.T, rounds int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PAYLINK_KILL_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("PAYLINK_KILL_SEED=%d repeats the same moments", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	k := &acknowledged{
		links:    map[string]toldLink{},
		payments: map[string]toldPayment{},
		refunds:  map[string]toldRefund{},
		answers:  map[string]int{},
	}
	data, address := filepath.Join(t.TempDir(), "data"), harness.FreeAddress(t)
	s := startKilled(t, data, address)
	t.Cleanup(func() {
		if !s.dying.Load() {
			s.kill()
		}
	})
	for round := range rounds {
		checked := k.everything()
		var running sync.WaitGroup
		for i := range killClients {
			own := rand.New(rand.NewPCG(seed, uint64(round*killClients+i+1)))
			running.Go(func() { s.customer(k, fmt.Sprintf("%d-%d", round, i), own) })
		}
		moment := time.NewTimer(killAfterMin + time.Duration(random.Int64N(int64(killAfterMax-killAfterMin))))
		<-moment.C
		s.kill()
		running.Wait()
		s = startKilled(t, data, address)
		s.checkRound(k, checked, random)
		if s.report(k); t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	s.settle(k)
	s.check(k, k.everything())
	s.report(k)
	t.Logf(
		"%d links, %d payments, %d refunds acknowledged; %d requests sent again; answers %v",
		len(k.links),
		len(k.payments),
		len(k.refunds),
		k.again,
		k.answers,
	)
	s.stopWell()
	out, errs, status := harness.Command(t, "verify", "--data", data)
	if status != 0 {
		t.Fatalf("verify ends with %d:\n%s%s", status, out, errs)
	}
	t.Log(strings.TrimSpace(out))
}

// report fails the test with what is wrong.
func (s *killed) report(k *acknowledged) {
	s.t.Helper()
	k.locked(func() {
		for _, w := range k.wrong[:min(len(k.wrong), 20)] {
			s.t.Error(w)
		}
		k.wrong = nil
	})
	if s.t.Failed() {
		s.t.Logf("the server's last words:\n%.4000s", s.logs)
	}
}

// everything returns the ids of all that was acknowledged.
func (k *acknowledged) everything() map[string]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids := map[string]bool{}
	for id := range k.links {
		ids[id] = true
	}
	for id := range k.payments {
		ids[id] = true
	}
	for id := range k.refunds {
		ids[id] = true
	}
	return ids
}

// checkRound sends again what was not answered, then checks everything new and a sample of the
// rest.
func (s *killed) checkRound(k *acknowledged, before map[string]bool, random *rand.Rand) {
	var again []killCall
	k.locked(func() { again, k.unheard = k.unheard, nil; k.again += len(again) })
	s.repeat(k, again)
	look := k.everything()
	old := slices.Sorted(maps.Keys(before))
	for id := range before {
		delete(look, id)
	}
	for range min(killSample, len(old)) {
		look[old[random.IntN(len(old))]] = true
	}
	s.check(k, look)
}

// repeat sends the calls with lost answers again, unchanged: the effect exists once afterwards,
// whether it existed before or not.
func (s *killed) repeat(k *acknowledged, calls []killCall) {
	s.many(len(calls), func(i int) {
		c := calls[i]
		s.send(k, c)
		switch c.kind {
		case "create":
			if n := s.count(k, "/api/links?reference="+c.key); n != 1 {
				k.say("the link %s exists %d times after its create was repeated", c.key, n)
			}
		case "pay":
			if n := s.count(k, "/api/payments?link="+c.link); n > 1 {
				k.say("the link %s has %d payments after one attempt was repeated", c.link, n)
			}
		}
	})
}

func (s *killed) count(k *acknowledged, path string) int {
	o, ok := s.read(k, path)
	if !ok {
		return -1
	}
	return len(o.Data)
}

func (s *killed) read(k *acknowledged, path string) (killObject, bool) {
	status, raw, err := s.call(http.MethodGet, path, "", "")
	var o killObject
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal(raw, &o)
	}
	if err != nil || status != http.StatusOK {
		k.say("GET %s: %d %.300s %v", path, status, raw, err)
		return o, false
	}
	return o, true
}

// many runs f for 0 to n-1 on a few goroutines.
func (s *killed) many(n int, f func(int)) {
	var next atomic.Int64
	var running sync.WaitGroup
	for range killClients {
		running.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	running.Wait()
}

// check reads the acknowledged objects with these ids and compares.
func (s *killed) check(k *acknowledged, ids map[string]bool) {
	links, payments, refunds := maps.Clone(k.links), maps.Clone(k.payments), maps.Clone(k.refunds)
	list := slices.Sorted(maps.Keys(ids))
	s.many(len(list), func(i int) {
		id := list[i]
		if want, ok := links[id]; ok {
			if o, ok := s.read(k, "/api/links/"+id); ok && (o.ID != id || o.Amount != want.amount) {
				k.say("link %s over %s is back as %s over %s", id, want.amount, o.ID, o.Amount)
			}
		}
		if want, ok := payments[id]; ok {
			s.checkPayment(k, id, want)
		}
		if want, ok := refunds[id]; ok {
			s.checkRefund(k, id, want)
		}
	})
}

func (s *killed) checkPayment(k *acknowledged, id string, want toldPayment) {
	o, ok := s.read(k, "/api/payments/"+id)
	if !ok {
		return
	}
	if o.Link != want.link || o.Amount != want.amount {
		k.say("payment %s of %s over %s is back as one of %s over %s", id, want.link, want.amount, o.Link, o.Amount)
	}
	if may, bound := killReach[want.status]; bound && !slices.Contains(may, o.Status) {
		k.say("payment %s was acknowledged to be %s and is %s", id, want.status, o.Status)
	}
	// From here on the new answer is binding.
	k.locked(func() { k.payments[id] = toldPayment{link: want.link, amount: want.amount, status: o.Status} })
}

func (s *killed) checkRefund(k *acknowledged, id string, want toldRefund) {
	o, ok := s.read(k, "/api/payments/"+want.payment)
	if !ok {
		return
	}
	for _, r := range o.Refunds {
		if r.ID == id {
			if r.Amount != want.amount {
				k.say("refund %s over %s is back over %s", id, want.amount, r.Amount)
			}
			return
		}
	}
	k.say("refund %s of payment %s is gone", id, want.payment)
}

// settle reads every unsettled payment until there is none: each read lets the server ask the
// issuer, once the dead process's lease has expired.
func (s *killed) settle(k *acknowledged) {
	deadline, tick := time.NewTimer(killSettleTime), time.NewTicker(killPace)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		var open []killObject
		for _, status := range []string{"processing", "unknown"} {
			o, ok := s.read(k, "/api/payments?limit=100&status="+status)
			if !ok {
				return
			}
			open = append(open, o.Data...)
		}
		if len(open) == 0 {
			return
		}
		s.many(len(open), func(i int) { s.read(k, "/api/payments/"+open[i].ID) })
		select {
		case <-tick.C:
		case <-deadline.C:
			k.say("%d payments are not decided after %s, such as %s, which is %s", len(open), killSettleTime, open[0].ID, open[0].Status)
			return
		}
	}
}

// stopWell ends the server with SIGTERM; it must end without an error.
func (s *killed) stopWell() {
	s.t.Helper()
	s.dying.Store(true)
	s.http.CloseIdleConnections()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	limit := time.NewTimer(await.Patience)
	defer limit.Stop()
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Fatalf("the server ends with %v\n%s", err, s.logs)
		}
	case <-limit.C:
		s.t.Fatal("the server does not stop")
	}
}

// TestI10Kill9UnderLoadPostgres is TestI10Kill9UnderLoad on the other engine.
func TestI10Kill9UnderLoadPostgres(t *testing.T) {
	t.Parallel()
	harness.StoreOn(t, pgtest.Database(t))
	killUnderLoad(t, killRounds/4)
}
