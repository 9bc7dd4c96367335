package obs

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics holds the metrics of a process. Every process makes its own set; there is no global
// one.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	issuer   *prometheus.HistogramVec
	calls    *prometheus.HistogramVec
	refused  prometheus.Counter
	relayed  prometheus.Histogram
	mails    *prometheus.CounterVec
	bounded  *prometheus.CounterVec // emails
	limited  *prometheus.CounterVec
	gone     *prometheus.CounterVec
	assessed *prometheus.HistogramVec
}

// NewMetrics returns an empty set.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "paylink_http_request_seconds",
			Help: "Time to answer a request.", Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30}}, []string{"route", "status"}),
		issuer: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "paylink_issuer_call_seconds",
			Help: "Time of a call to an issuer.", Buckets: []float64{.001, .01, .1, .5, 1, 5, 30}}, []string{"issuer", "call", "outcome"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "paylink_rpc_seconds",
			Help:    "Time of a try of a call between services, by who measured it.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30}},
			[]string{"side", "service", "method", "code"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "paylink_rpc_refused_total",
			Help: "Internal requests that were refused because they prove nothing."}),
		relayed: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "paylink_relay_seconds",
			Help: "Age of a change in DynamoDB when its event was in the feed.", Buckets: []float64{.1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 3600}}),
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "paylink_mail_tries_total",
			Help: "Tries to send a mail, by what became of it: sent, waiting for another try, parked or dropped."}, []string{"kind", "outcome"}),
	}
	m.assessed = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "paylink_fraud_assess_seconds",
		Help:    "Time of the assessment of a payment attempt, by decision and reason.",
		Buckets: []float64{.0001, .0005, .001, .0025, .005, .01, .025, .1, 1}}, []string{"action", "why"})
	m.bounded = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "paylink_mails_limited_total",
		Help: "Emails to payers that a daily limit held back, by what it bounds: account, recipient or network."}, []string{"bound"})
	m.limited = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "paylink_requests_limited_total",
		Help: "Requests refused by a rate limit, by limit."}, []string{"limit"})
	m.gone = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "paylink_issuer_gone_total",
		Help: "Recoveries of payments whose issuer is not configured."}, []string{"issuer"})
	m.registry.MustRegister(m.gone, m.requests, m.issuer, m.calls, m.refused, m.limited, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gone counts a sweep of a payment whose issuer is not in the configuration.
func (m *Metrics) Gone(issuer string) { m.gone.WithLabelValues(issuer).Inc() }

// Configured lets Gone count an issuer from zero, so that the first one shows as a rise.
func (m *Metrics) Configured(issuer string) { m.gone.WithLabelValues(issuer) }

// Request records an answered request; route is the pattern, never the path.
func (m *Metrics) Request(route, status string, took time.Duration) {
	m.requests.WithLabelValues(route, status).Observe(took.Seconds())
}

// IssuerCall records a call to an issuer.
func (m *Metrics) IssuerCall(issuer, call, outcome string, took time.Duration) {
	m.issuer.WithLabelValues(issuer, call, outcome).Observe(took.Seconds())
}

// Call records one try of a call between services; side is client or server.
func (m *Metrics) Call(side, service, method, code string, took time.Duration) {
	m.calls.WithLabelValues(side, service, method, code).Observe(took.Seconds())
}

// Refused counts an internal request without valid credentials.
func (m *Metrics) Refused() { m.refused.Inc() }

// Limited counts a request that a limit refused.
func (m *Metrics) Limited(limit string) { m.limited.WithLabelValues(limit).Inc() }

// Relays registers the relay's metrics; for a process that may run it.
func (m *Metrics) Relays() { m.registry.MustRegister(m.relayed) }

// Relayed records that an event of this age is in the feed.
func (m *Metrics) Relayed(age time.Duration) { m.relayed.Observe(age.Seconds()) }

// Assessments registers the metrics of the fraud service; for a process that runs it.
func (m *Metrics) Assessments() { m.registry.MustRegister(m.assessed) }

// Assessed records the assessment of an attempt, and its reason.
func (m *Metrics) Assessed(action, why string, took time.Duration) {
	m.assessed.WithLabelValues(action, why).Observe(took.Seconds())
}

// Mails registers the mail metrics; for a process that sends.
func (m *Metrics) Mails() {
	m.registry.MustRegister(m.mails, m.bounded)
	for _, bound := range []string{"account", "recipient", "network"} {
		m.bounded.WithLabelValues(bound) // zero until then
	}
}

// MailLimited records that a limit on emails to payers was reached: of an account, a recipient or a
// network.
func (m *Metrics) MailLimited(bound string) { m.bounded.WithLabelValues(bound).Inc() }

// Mail records a try to send a mail.
func (m *Metrics) Mail(kind, outcome string) { m.mails.WithLabelValues(kind, outcome).Inc() }

// Gauge registers a gauge that is read with the metrics.
func (m *Metrics) Gauge(name, help string, labels map[string]string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

// Counter registers a counter that is read with the metrics; what it reads never falls.
func (m *Metrics) Counter(name, help string, labels map[string]string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

// Registry returns the registry that the process's handler serves.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }
