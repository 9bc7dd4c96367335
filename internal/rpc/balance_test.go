package rpc_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
)

// replica is one instance of a service.
type replica struct {
	url   string
	stop  func()
	calls atomic.Int64
	fail  atomic.Pointer[func() error] // what its service does instead
	ready atomic.Pointer[error]
}

func (r *replica) act() error {
	r.calls.Add(1)
	if f := r.fail.Load(); f != nil {
		return (*f)()
	}
	return nil
}

type replicaNotifier struct {
	notify.Service
	*replica
}

func (r replicaNotifier) Delete(context.Context, string, string, string) error { return r.act() }

type replicaReader struct {
	payment.Reader
	*replica
}

func (r replicaReader) GetPayment(ctx context.Context, _, _ string) (payment.Payment, error) {
	return payment.Payment{}, r.act()
}

// replicas serves n instances: Notice may be repeated, Delete not, Get only reads.
func (w *world) replicas(c *rpc.Credentials, n int) []*replica {
	var all []*replica
	for range n {
		r := &replica{}
		s := rpc.NewServer(rpc.ServerConfig{Credentials: c, Log: w.log, Tickets: w.tickets(), Ready: func(context.Context) error {
			if err := r.ready.Load(); err != nil {
				return *err
			}
			return nil
		}})
		rpc.ServeTransactions(s, scripted{notice: func(context.Context, issuer.Notice) error { return r.act() }}, w.store, w.cards(), w.store)
		rpc.ServeNotifier(s, replicaNotifier{replica: r}, w.store)
		rpc.ServePayments(s, replicaReader{replica: r})
		r.url, r.stop = listen(w.t, s, nil)
		all = append(all, r)
	}
	return all
}

func urls(all []*replica) (list []string) {
	for _, r := range all {
		list = append(list, r.url)
	}
	return list
}

// cut breaks the connection in the middle of a call.
func cut() error { panic(http.ErrAbortHandler) }

func TestCallsGoRound(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	all := w.replicas(c, 3)
	far := w.clients(c, urls(all)...)
	for range 30 {
		good(t, far.transactions.Notice(t.Context(), issuer.Notice{}))
	}
	for i, r := range all {
		if n := r.calls.Load(); n != 10 {
			t.Errorf("instance %d had %d of 30 calls", i, n)
		}
	}
	// One instance goes away between two calls: callers do not notice.
	all[1].stop()
	for range 30 {
		good(t, far.transactions.Notice(t.Context(), issuer.Notice{}))
		good(t, far.notifier.Delete(t.Context(), "", "", ""))
	}
	// All go away: the error says so, and that nothing was sent.
	all[0].stop()
	all[2].stop()
	await.Until(t, "the connections are known to be gone", func() bool {
		err := far.notifier.Delete(t.Context(), "", "", "")
		if fault.Code(err) != "service_unavailable" || fault.From(err).RetryAfter == 0 {
			t.Fatalf("with nobody there: %v", err)
		}
		return rpc.NotSent(err)
	})
}

// TestRepeatsOnlyWhatIsHarmless breaks the connection in the middle of a call. The call goes to
// another instance if its contract allows it; otherwise the caller gets an error that the outcome
// is unknown.
func TestRepeatsOnlyWhatIsHarmless(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	all := w.replicas(c, 2)
	broken := cut
	all[0].fail.Store(&broken)
	far := w.clients(c, urls(all)...)
	for range 4 {
		good(t, far.transactions.Notice(t.Context(), issuer.Notice{}))
		_, err := far.payments.GetPayment(t.Context(), "", "")
		good(t, err)
	}
	if all[0].calls.Load() == 0 {
		t.Fatal("the broken instance was never asked")
	}
	alone := w.clients(c, all[0].url)
	before := all[0].calls.Load()
	err := alone.notifier.Delete(t.Context(), "", "", "")
	if fault.Code(err) != "service_unavailable" || rpc.NotSent(err) || all[0].calls.Load() != before+1 {
		t.Errorf("a call that may have been done: %v after %d tries", err, all[0].calls.Load()-before)
	}
	// A service that is temporarily unavailable is also left for another instance.
	busy := func() error { return fault.Unavailable("store_unavailable", 0, errors.New("no"), "Not now.") }
	all[0].fail.Store(&busy)
	for range 4 {
		good(t, far.transactions.Notice(t.Context(), issuer.Notice{}))
	}
	if err := alone.transactions.Notice(t.Context(), issuer.Notice{}); fault.Code(err) != "store_unavailable" {
		t.Errorf("the only instance cannot: %v", err)
	}
	// A refusal is an answer, not a failure.
	no := func() error { return fault.NotFound("payment") }
	all[0].fail.Store(&no)
	before = all[0].calls.Load()
	if err := alone.transactions.Notice(t.Context(), issuer.Notice{}); fault.KindOf(err) != fault.KindNotFound ||
		all[0].calls.Load() != before+1 {
		t.Errorf("a refusal: %v", err)
	}
}

// TestUnreadyIsAskedLast checks that probes find instances that cannot serve, and when they can
// again.
func TestUnreadyIsAskedLast(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	all := w.replicas(c, 2)
	sick := errors.New("its store is away")
	all[0].ready.Store(&sick)
	pool := w.pool("transactions", c, urls(all)...)
	go func() { _ = pool.Run(t.Context()) }()
	far := rpc.NewTransactions(rpc.NewPeer("transactions", pool, nil), w.cards(), nil)
	spared := func(i int) bool {
		before := all[i].calls.Load()
		for range 4 {
			good(t, far.Notice(t.Context(), issuer.Notice{}))
		}
		return all[i].calls.Load() == before
	}
	await.Until(t, "the sick instance is spared", func() bool { return spared(0) })
	// If no instance is healthy, an unhealthy one is better than none.
	all[1].stop()
	await.Until(t, "the sick instance is asked when it is the last", func() bool { return !spared(0) })
	good(t, pool.Answers(t.Context()))
	all[0].ready.Store(nil)
	good(t, far.Notice(t.Context(), issuer.Notice{}))
	all[0].stop()
	if pool.Answers(t.Context()) == nil {
		t.Error("somebody answers although all are gone")
	}
}

// TestNamesLeadToInstances checks that each address of a name is an instance, and that the pool
// follows the name when its addresses change.
func TestNamesLeadToInstances(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	first, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	good(t, err)
	_, port, err := net.SplitHostPort(first.Addr().String())
	good(t, err)
	second, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.2:"+port)
	good(t, err)
	var calls [2]atomic.Int64
	for i, l := range []net.Listener{first, second} {
		listenOn(t, w.notices(c, func(context.Context, issuer.Notice) error { calls[i].Add(1); return nil }), l, nil)
	}
	var mu sync.Mutex
	addresses := []string{"127.0.0.1", "127.0.0.2"}
	pool := w.pool("transactions", c, "http://transactions.internal:"+port)
	pool.SetLookup(func(_ context.Context, host string) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		if host != "transactions.internal" || len(addresses) == 0 {
			return nil, errors.New("no such host")
		}
		return append([]string(nil), addresses...), nil
	})
	far := rpc.NewTransactions(rpc.NewPeer("transactions", pool, nil), w.cards(), nil)
	for range 10 {
		good(t, far.Notice(t.Context(), issuer.Notice{}))
	}
	if calls[0].Load() != 5 || calls[1].Load() != 5 {
		t.Errorf("the addresses had %d and %d of 10 calls", calls[0].Load(), calls[1].Load())
	}
	go func() { _ = pool.Run(t.Context()) }()
	change := func(to ...string) { mu.Lock(); defer mu.Unlock(); addresses = to }
	change("127.0.0.2")
	await.Until(t, "the pool follows the name", func() bool {
		before := calls[0].Load()
		for range 4 {
			good(t, far.Notice(t.Context(), issuer.Notice{}))
		}
		return calls[0].Load() == before
	})
	change() // the name server is away: known addresses stay
	for range 4 {
		good(t, far.Notice(t.Context(), issuer.Notice{}))
	}
}

// TestReadLeavesASlowInstance checks that a hanging instance does not hang its callers.
func TestReadLeavesASlowInstance(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	all := w.replicas(c, 2)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hang := func() error { <-release; return t.Context().Err() }
	all[0].fail.Store(&hang)
	far := w.clients(c, urls(all)...)
	for range 2 {
		_, err := far.payments.GetPayment(t.Context(), "", "")
		good(t, err)
	}
	if all[0].calls.Load() == 0 {
		t.Error("the slow instance was never asked")
	}
}

// losing carries out its calls and loses the answers.
type losing struct {
	link.Service
	nothing bool // it carries out nothing
}

func (l losing) Create(ctx context.Context, r link.CreateRequest) (link.Link, error) {
	if _, err := l.Service.Create(ctx, r); err != nil {
		return link.Link{}, err
	}
	return link.Link{}, cut()
}

func (l losing) Cancel(ctx context.Context, account, mode, id string, t *idempotency.Ticket) (link.Link, error) {
	if l.nothing {
		t = nil // as if it died before the record's commit, and another caller went on
	}
	if _, err := l.Service.Cancel(ctx, account, mode, id, t); err != nil {
		return link.Link{}, err
	}
	return link.Link{}, cut()
}

// TestF16AnswerLostBetweenServices loses the answer of a call after its commit, and the call is
// repeated at another instance. With a key the caller is led to the record of the first call,
// also where a repetition by itself would be refused. Without a key or a record, the caller gets
// an error that the outcome is unknown.
func TestF16AnswerLostBetweenServices(t *testing.T) {
	for _, nothing := range []bool{false, true} {
		w := newWorld(t)
		c := credentials(t, keysFile(t), "")
		account := w.local.account(t).Account
		lost := rpc.NewServer(rpc.ServerConfig{Credentials: c, Ready: w.store.Ping, Log: w.log, Tickets: w.tickets()})
		rpc.ServeLinks(lost, losing{w.local.links, nothing}, w.store)
		first, _ := listen(t, lost, nil)
		second, _ := listen(t, w.serve(c), nil)
		fresh := func() serviceSet { return w.clients(c, first, second) } // calls the first one first
		count := func() int {
			all, err := w.store.ListLinks(t.Context(), link.Filter{Account: account.ID, Mode: link.Test, Limit: 10})
			good(t, err)
			return len(all)
		}
		scope := account.ID + "/test"
		r := linkRequest(account)
		r.Ticket = w.ticket(scope, "order-1", "link")
		if _, err := fresh().links.Create(t.Context(), r); !errors.Is(err, idempotency.ErrRaced) || count() != 1 {
			t.Errorf("a create with a key: %v, %d links", err, count())
		}
		r.Ticket = nil
		if _, err := fresh().links.Create(t.Context(), r); fault.Code(err) != "service_unavailable" || rpc.NotSent(err) || count() != 2 {
			t.Errorf("a create without a key: %v, %d links", err, count())
		}
		all, err := w.local.links.List(t.Context(), link.Filter{Account: account.ID, Mode: link.Test})
		good(t, err)
		_, err = fresh().links.Cancel(t.Context(), account.ID, link.Test, all[0].ID, w.ticket(scope, "cancel-1", "link"))
		record, readErr := w.store.GetIdempotency(t.Context(), scope, "cancel-1")
		good(t, readErr)
		if nothing && (fault.Code(err) != "service_unavailable" || rpc.NotSent(err) || record != nil) {
			t.Errorf("a cancel without a record: %v", err)
		}
		if !nothing && (!errors.Is(err, idempotency.ErrRaced) || record == nil) {
			t.Errorf("a cancel with a record: %v", err)
		}
	}
}

// freezer is a listener whose connections stop moving, as when a machine hangs or a network drops
// them: nothing is closed.
type freezer struct {
	net.Listener
	frozen chan struct{}
	ended  chan struct{}
}

func (l freezer) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return frozenConn{c, l}, err
}

type frozenConn struct {
	net.Conn
	l freezer
}

func (c frozenConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case <-c.l.frozen:
		<-c.l.ended
	default:
	}
	return n, err
}

// TestHungInstanceIsLeft checks that a running call at an instance that stops moving is repeated
// at another one, long before the caller's deadline.
func TestHungInstanceIsLeft(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	hung := freezer{frozen: make(chan struct{}), ended: make(chan struct{})}
	t.Cleanup(func() { close(hung.ended) })
	var calls [2]atomic.Int64
	serve := func(i int, wrap func(net.Listener) net.Listener) string {
		url, _ := listen(t, w.notices(c, func(context.Context, issuer.Notice) error { calls[i].Add(1); return nil }), wrap)
		return url
	}
	first := serve(0, func(l net.Listener) net.Listener { hung.Listener = l; return hung })
	far := w.clients(c, first, serve(1, nil)).transactions
	for range 2 {
		good(t, far.Notice(t.Context(), issuer.Notice{}))
	}
	close(hung.frozen)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 2 {
		good(t, far.Notice(ctx, issuer.Notice{}))
	}
	if calls[0].Load() != 1 || calls[1].Load() != 3 {
		t.Errorf("the instances had %d and %d calls", calls[0].Load(), calls[1].Load())
	}
}
