package client

import (
	"encoding/json"
	"time"
)

// Mode of data: test and live never mix.
type Mode string

// The modes.
const (
	ModeTest Mode = "test"
	ModeLive Mode = "live"
)

// Amounts are decimal strings with all of the currency's decimals, such as "12.50": no float ever
// rounds them. Times are UTC. A member that is absent or null is the zero value.

// LinkStatus is the status of a payment link.
type LinkStatus string

// The statuses of a link.
const (
	LinkOpen     LinkStatus = "open"
	LinkPaying   LinkStatus = "paying"
	LinkPaid     LinkStatus = "paid"
	LinkExpired  LinkStatus = "expired"
	LinkCanceled LinkStatus = "canceled"
)

// Link is a payment link. The payer opens URL.
type Link struct {
	ID              string            `json:"id"`
	Object          string            `json:"object"`
	URL             string            `json:"url"`
	Status          LinkStatus        `json:"status"`
	UnpayableReason string            `json:"unpayableReason,omitempty"`
	Amount          string            `json:"amount,omitempty"` // empty: the payer chooses
	MinAmount       string            `json:"minAmount,omitempty"`
	MaxAmount       string            `json:"maxAmount,omitempty"`
	Currency        string            `json:"currency"`
	Date            time.Time         `json:"date,omitzero"`
	Realm           string            `json:"realm,omitempty"`
	PaymentMethod   string            `json:"paymentMethod,omitempty"`
	Description     string            `json:"description,omitempty"`
	Reference       string            `json:"reference,omitempty"`
	Metadata        map[string]string `json:"metadata,omitempty"`
	MaxUses         *int64            `json:"maxUses"` // nil: unlimited
	Uses            int64             `json:"uses"`
	ExpiresAt       time.Time         `json:"expiresAt,omitzero"`
	RedirectURL     string            `json:"redirectUrl,omitempty"`
	Capture         string            `json:"capture"`
	LatePolicy      string            `json:"latePolicy"`
	Form            string            `json:"form,omitempty"` // the form that created it
	Mode            Mode              `json:"mode"`
	CreatedAt       time.Time         `json:"createdAt,omitzero"`
	Links           map[string]string `json:"links"`
}

// CreateLink requests a link: Currency, and Amount or, if the payer chooses, MaxAmount. All other
// fields are optional.
type CreateLink struct {
	Amount           string            `json:"amount,omitempty"`
	Currency         string            `json:"currency"`
	Date             string            `json:"date,omitempty"` // an RFC 3339 time, or a date
	PaymentMethod    string            `json:"paymentMethod,omitempty"`
	Realm            string            `json:"realm,omitempty"`
	Description      string            `json:"description,omitempty"`
	Reference        string            `json:"reference,omitempty"`
	Metadata         map[string]string `json:"metadata,omitempty"`
	ExpiresAt        time.Time         `json:"expiresAt,omitzero"`
	ExpiresInSeconds int64             `json:"expiresInSeconds,omitempty"`
	MaxUses          Uses              `json:"maxUses,omitzero"` // default 1
	MinAmount        string            `json:"minAmount,omitempty"`
	MaxAmount        string            `json:"maxAmount,omitempty"`
	RedirectURL      string            `json:"redirectUrl,omitempty"`
	Capture          string            `json:"capture,omitempty"`    // automatic or manual
	LatePolicy       string            `json:"latePolicy,omitempty"` // accept, hold or refund
}

// Uses is how often a link may be paid: a number, or Unlimited.
type Uses int64

// Unlimited uses.
const Unlimited Uses = -1

// MarshalJSON encodes Unlimited as null.
func (u Uses) MarshalJSON() ([]byte, error) {
	if u < 0 {
		return []byte("null"), nil
	}
	return json.Marshal(int64(u))
}

// PaymentStatus is the status of a payment.
type PaymentStatus string

// The statuses of a payment.
const (
	PaymentCreated           PaymentStatus = "created"
	PaymentRequiresAction    PaymentStatus = "requires_action"
	PaymentProcessing        PaymentStatus = "processing"
	PaymentUnknown           PaymentStatus = "unknown"
	PaymentAuthorized        PaymentStatus = "authorized"
	PaymentSucceeded         PaymentStatus = "succeeded"
	PaymentDeclined          PaymentStatus = "declined"
	PaymentCanceled          PaymentStatus = "canceled"
	PaymentRefunded          PaymentStatus = "refunded"
	PaymentPartiallyRefunded PaymentStatus = "partially_refunded"
	PaymentLate              PaymentStatus = "late"
	PaymentReview            PaymentStatus = "review"
)

// Payment is one attempt to pay a link.
type Payment struct {
	ID             string `json:"id"`
	Object         string `json:"object"`
	Link           string `json:"link"`
	Amount         string `json:"amount"`
	Currency       string `json:"currency"`
	CapturedAmount string `json:"capturedAmount"`
	RefundedAmount string `json:"refundedAmount"`
	// RefundableAmount is what can be refunded now: captured, neither refunded nor held for a
	// refund, and not claimed by a dispute.
	RefundableAmount string            `json:"refundableAmount,omitempty"`
	Status           PaymentStatus     `json:"status"`
	Decline          *Decline          `json:"decline,omitempty"`
	ReviewReason     string            `json:"reviewReason,omitempty"`
	Card             *Card             `json:"card,omitempty"`
	Payer            *Payer            `json:"payer,omitempty"`
	Risk             *Risk             `json:"risk,omitempty"`
	Disputes         []Dispute         `json:"disputes,omitempty"`
	Issuer           string            `json:"issuer"`
	Realm            string            `json:"realm,omitempty"`
	Reference        string            `json:"reference,omitempty"`
	Metadata         map[string]string `json:"metadata,omitempty"`
	Mode             Mode              `json:"mode"`
	CreatedAt        time.Time         `json:"createdAt,omitzero"`
	UpdatedAt        time.Time         `json:"updatedAt,omitzero"`
	Links            map[string]string `json:"links"`
}

// Decline says why the issuer declined.
type Decline struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Card is what is known of a card. Fingerprint is the same for the same card, and about 12,500
// numbers share it. BIN has six digits, or fewer of a number with less than 15.
type Card struct {
	Brand       string `json:"brand"`
	Last4       string `json:"last4"`
	BIN         string `json:"bin,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"` // such as card_424242_4242_3
}

// Payer is who paid, by their own statement.
type Payer struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// PaymentDetail is a payment with its gap-free log and its refunds.
type PaymentDetail struct {
	Payment
	Log     []LogEntry `json:"log"`
	Refunds []Refund   `json:"refunds"`
}

// LogEntry is one step of a payment. Hash covers it and the hash before it.
type LogEntry struct {
	Seq             int64     `json:"seq"`
	At              time.Time `json:"at,omitzero"`
	From            string    `json:"from"`
	To              string    `json:"to"`
	Actor           string    `json:"actor"`
	Reason          string    `json:"reason"` // a code, with details in Code, By and Amount
	Code            string    `json:"code,omitempty"`
	By              string    `json:"by,omitempty"`
	Amount          string    `json:"amount,omitempty"`
	Currency        string    `json:"currency,omitempty"`
	IssuerReference string    `json:"issuerReference,omitempty"`
	Refund          string    `json:"refund,omitempty"`
	Hash            string    `json:"hash"`
}

// Refund returns captured money: pending, succeeded or failed.
type Refund struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Payment   string            `json:"payment"`
	Amount    string            `json:"amount"`
	Currency  string            `json:"currency"`
	Status    string            `json:"status"`
	Code      string            `json:"code,omitempty"`      // why it failed
	AllowedBy string            `json:"allowedBy,omitempty"` // who allowed it to refund disputed money
	CreatedAt time.Time         `json:"createdAt,omitzero"`
	Links     map[string]string `json:"links"`
}

// Balance is the account's balance in one mode.
type Balance struct {
	Object   string          `json:"object"`
	Mode     Mode            `json:"mode"`
	Balances []BalanceAmount `json:"balances"`
}

// BalanceAmount is the balance in one currency.
type BalanceAmount struct {
	Currency  string `json:"currency"`
	Available string `json:"available"`
	Pending   string `json:"pending"`
}

// Event is a state change. Seq counts per account and mode, ObjectSeq per object, both without
// gaps.
type Event struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Type      string            `json:"type"`
	Seq       int64             `json:"seq"`
	ObjectSeq int64             `json:"objectSeq"`
	CreatedAt time.Time         `json:"createdAt,omitzero"`
	Mode      Mode              `json:"mode"`
	Data      json.RawMessage   `json:"data"` // the object as it was after the change
	Links     map[string]string `json:"links"`
}

func dataOf[T any](e Event) (T, error) {
	var out T
	err := json.Unmarshal(e.Data, &out)
	return out, err
}

// Payment decodes the data of a payment.… event.
func (e Event) Payment() (Payment, error) { return dataOf[Payment](e) }

// Link decodes the data of a link.… event.
func (e Event) Link() (Link, error) { return dataOf[Link](e) }

// Dispute decodes the data of a dispute.… event; that of a fraud.… event is a payment.
func (e Event) Dispute() (Dispute, error) { return dataOf[Dispute](e) }

// Refund decodes the data of a refund.… event.
func (e Event) Refund() (Refund, error) { return dataOf[Refund](e) }

// Endpoint decodes the data of an endpoint.… event.
func (e Event) Endpoint() (Endpoint, error) { return dataOf[Endpoint](e) }

// Endpoint is your URL that receives webhooks.
type Endpoint struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	URL            string            `json:"url"`
	Events         []string          `json:"events"` // "*" is every type
	Status         string            `json:"status"`
	DisabledAt     time.Time         `json:"disabledAt,omitzero"`
	DisabledReason string            `json:"disabledReason,omitempty"` // gone, failing or manual
	FailingSince   time.Time         `json:"failingSince,omitzero"`
	Mode           Mode              `json:"mode"`
	CreatedAt      time.Time         `json:"createdAt,omitzero"`
	Links          map[string]string `json:"links"`
}

// EndpointWithSecret is an endpoint with its secret, which is returned only once.
type EndpointWithSecret struct {
	Endpoint
	Secret string `json:"secret"`
}

// CreateEndpoint requests an endpoint. With nil Events it receives every event; an empty list is
// refused (events_missing).
type CreateEndpoint struct {
	URL    string   `json:"url"`
	Events []string `json:"events,omitzero"`
}

// Delivery is one try to send an event to an endpoint.
type Delivery struct {
	ID         string            `json:"id"`
	Object     string            `json:"object"`
	Endpoint   string            `json:"endpoint"`
	Event      string            `json:"event"`
	EventType  string            `json:"eventType"`
	Test       bool              `json:"test"`
	Redelivery string            `json:"redelivery"` // the bulk redelivery whose first try this is
	Status     string            `json:"status"`     // pending, succeeded, failed or parked
	Attempt    int64             `json:"attempt"`
	HTTPStatus int64             `json:"httpStatus,omitempty"`
	Answer     string            `json:"answer,omitempty"`
	Error      string            `json:"error,omitempty"`
	DurationMs int64             `json:"durationMs"`
	NextAt     time.Time         `json:"nextAt,omitzero"`
	Mode       Mode              `json:"mode"`
	CreatedAt  time.Time         `json:"createdAt,omitzero"`
	Links      map[string]string `json:"links"`
}

// Issuer is a connector that can take payments.
type Issuer struct {
	ID         string         `json:"id"`
	Object     string         `json:"object"`
	Mode       Mode           `json:"mode"`
	Types      []string       `json:"types"`
	Currencies []string       `json:"currencies"`
	Amounts    []IssuerAmount `json:"amounts"`
}

// IssuerAmount is what an issuer accepts in one currency.
type IssuerAmount struct {
	Currency  string `json:"currency"`
	MinAmount string `json:"minAmount,omitempty"`
	MaxAmount string `json:"maxAmount,omitempty"`
}

// Key authenticates a backend.
type Key struct {
	ID         string            `json:"id"`
	Object     string            `json:"object"`
	Name       string            `json:"name"`
	Mode       Mode              `json:"mode"`
	Scopes     []string          `json:"scopes"`
	CreatedAt  time.Time         `json:"createdAt,omitzero"`
	ExpiresAt  time.Time         `json:"expiresAt,omitzero"`
	LastUsedAt time.Time         `json:"lastUsedAt,omitzero"`
	RevokedAt  time.Time         `json:"revokedAt,omitzero"`
	Links      map[string]string `json:"links"`
}

// KeyWithSecret is a key with its secret, which is returned only once.
type KeyWithSecret struct {
	Key
	Secret string `json:"secret"`
}

// CreateKey requests a key.
type CreateKey struct {
	Name      string    `json:"name"`
	Mode      Mode      `json:"mode"`
	Scopes    []string  `json:"scopes"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// CreateUser signs up a user with an account.
type CreateUser struct {
	Username   string `json:"username"`
	Email      string `json:"email"`
	Date       string `json:"date,omitempty"`
	Password   string `json:"password"`
	Invitation string `json:"invitation,omitempty"` // required if sign-up is by invitation
	TimeZone   string `json:"timeZone,omitempty"`   // in which the account's days begin; UTC by default
}

// SignIn requests a session.
type SignIn struct {
	Login    string `json:"login"`
	Password string `json:"password"`
	OTP      string `json:"otp,omitempty"` // of an authenticator, if the user has one
}

// Session belongs to a signed-in user; pass Token to WithSession.
type Session struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Token     string            `json:"token"`
	User      string            `json:"user"`
	CreatedAt time.Time         `json:"createdAt,omitzero"`
	ExpiresAt time.Time         `json:"expiresAt,omitzero"`
	Links     map[string]string `json:"links"`
}

// User who may sign in.
type User struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	Username       string            `json:"username"`
	Email          string            `json:"email"`
	Date           string            `json:"date"`
	Account        string            `json:"account"`
	PaymentMethods []PaymentMethod   `json:"paymentMethods"`
	TimeZone       string            `json:"timeZone"` // in which the account's days begin
	CreatedAt      time.Time         `json:"createdAt,omitzero"`
	Links          map[string]string `json:"links"`
}

// PaymentMethod is a payment method of the account.
type PaymentMethod struct {
	ID         string   `json:"id"`
	Object     string   `json:"object"`
	Type       string   `json:"type"`
	Issuer     string   `json:"issuer"`
	Currencies []string `json:"currencies"`
	Enabled    bool     `json:"enabled"`
}

// SetPaymentMethod is the desired state of a payment method. Credentials are write-only.
type SetPaymentMethod struct {
	Type        string            `json:"type"`
	Issuer      string            `json:"issuer"`
	Currencies  []string          `json:"currencies"`
	Enabled     *bool             `json:"enabled,omitempty"` // nil: true
	Credentials map[string]string `json:"credentials,omitempty"`
}
