//go:build linux

package bench

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// work is what one client repeats. It calls lap at the end of each request.
type work func(c *client, lap func()) error

// span is when a measurement counts: what begins before from or ends after to is warm-up or tail.
type span struct{ from, to time.Time }

// measured is the result of one level of concurrency.
type measured struct {
	name      string
	clients   int
	took      time.Duration
	whole     []time.Duration // each complete unit of work, sorted
	requests  []time.Duration // each request in it, sorted
	serverCPU time.Duration
	clientCPU time.Duration
	engineCPU time.Duration // of the database's processes, if it has its own
	rss       float64
}

func (m measured) rate() float64 { return float64(len(m.whole)) / m.took.Seconds() }

func (m measured) each(d time.Duration) time.Duration {
	if len(m.whole) == 0 {
		return 0
	}
	return d / time.Duration(len(m.whole))
}

// percentile returns a percentile of sorted durations.
func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return d[min(len(d)-1, int(p*float64(len(d))))]
}

// one is a client's part of a measurement.
type one struct {
	whole, requests []time.Duration
	err             error
}

func (o *one) run(host string, s span, do work) {
	c, err := dial(host)
	if err != nil {
		o.err = err
		return
	}
	defer c.close()
	last := time.Now()
	lap := func() {
		now := time.Now()
		if last.After(s.from) && now.Before(s.to) {
			o.requests = append(o.requests, now.Sub(last))
		}
		last = now
	}
	for {
		begin := time.Now()
		if !begin.Before(s.to) {
			return
		}
		last = begin
		if err := do(c, lap); err != nil {
			o.err = err
			return
		}
		if end := time.Now(); begin.After(s.from) && end.Before(s.to) {
			o.whole = append(o.whole, end.Sub(begin))
		}
	}
}

// measure keeps that many clients busy for the warm-up and then the time.
func (s *server) measure(name string, clients int, warm, took time.Duration, do work) (measured, error) {
	begin := time.Now()
	at := span{from: begin.Add(warm), to: begin.Add(warm + took)}
	all := make([]one, clients)
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() { all[i].run(s.host, at, do) })
	}
	m := measured{name: name, clients: clients, took: took}
	<-time.After(time.Until(at.from))
	server, errBefore := s.cpu()
	engine, own := s.engineCPU(), ownCPU()
	<-time.After(time.Until(at.to))
	serverAfter, errAfter := s.cpu()
	m.serverCPU, m.engineCPU, m.clientCPU = serverAfter-server, s.engineCPU()-engine, ownCPU()-own
	running.Wait()
	err := errors.Join(errBefore, errAfter)
	for _, o := range all {
		m.whole = append(m.whole, o.whole...)
		m.requests = append(m.requests, o.requests...)
		err = errors.Join(err, o.err)
	}
	slices.Sort(m.whole)
	slices.Sort(m.requests)
	if err == nil {
		m.rss, _, err = s.memory()
	}
	return m, err
}

const newLink = `{"amount":"12.50","currency":"EUR","description":"Two tickets","reference":"order-1"}`

// createLink makes a link and returns the path of its page.
func (s *server) createLink(c *client) (string, error) {
	status, body, err := c.do("POST", "/api/payment", s.basic, newLink)
	if err != nil {
		return "", err
	}
	if status != 200 {
		return "", fmt.Errorf("create a link: %d %s", status, body)
	}
	url, err := between(body, `"url":"`, `"`)
	if err != nil {
		return "", err
	}
	_, token, found := strings.Cut(url, "/l/")
	if !found {
		return "", fmt.Errorf("the link's URL is %q", url)
	}
	return "/l/" + token, nil
}

func (s *server) links(c *client, lap func()) error {
	_, err := s.createLink(c)
	lap()
	return err
}

// payments makes a complete payment: the merchant creates a link, and the payer opens its page
// and pays. An answer "succeeded" means that the payment, its ledger entries and its events are
// durable.
func (s *server) payments(c *client, lap func()) error {
	path, err := s.createLink(c)
	lap()
	if err != nil {
		return err
	}
	status, page, err := c.do("GET", path, "Accept: text/html\r\n", "")
	lap()
	if err != nil {
		return err
	}
	if status != 200 {
		return fmt.Errorf("open the page: %d %s", status, page)
	}
	attempt, err := between(page, `name="attempt" value="`, `"`)
	if err != nil {
		return err
	}
	status, body, err := c.do("POST", path+"/payments", "",
		`{"attempt":"`+attempt+`","card":{"number":"4242424242424242","expMonth":12,"expYear":2050,"cvc":"123"}}`)
	lap()
	if err != nil {
		return err
	}
	if got, wrong := between(body, `"status":"`, `"`); status != 200 || wrong != nil || got != "succeeded" {
		return fmt.Errorf("pay: %d %s", status, body)
	}
	return nil
}

// nothing sends the cheapest request.
func nothing(c *client, lap func()) error {
	status, body, err := c.do("GET", "/healthz", "", "")
	lap()
	if err == nil && status != 200 {
		return fmt.Errorf("healthz: %d %s", status, body)
	}
	return err
}
