package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Error is a refusal by the server (RFC 9457). Programs should branch on Code, which is stable,
// and on Param, which names the invalid part of the request. Detail and RequestID are for people
// and for the logs of the server's operator.
type Error struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Param     string `json:"param,omitempty"`
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	Type      string `json:"type"`              // address of the code's explanation, relative to the server
	Payment   string `json:"payment,omitempty"` // the payment of a decline
	RequestID string `json:"requestId,omitempty"`
	Retryable bool   `json:"retryable,omitempty"`

	RetryAfter time.Duration `json:"-"` // how long the server asks to wait; 0: it does not say
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("paylink: %s (%s, status %d", e.Detail, e.Code, e.Status)
	if e.Param != "" {
		text += ", param " + e.Param
	}
	if e.RequestID != "" {
		text += ", request " + e.RequestID
	}
	return text + ")"
}

// temporary reports whether the same call may succeed in a moment.
func (e *Error) temporary() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.Retryable || e.Code == "idempotency_key_in_use"
}

// Code returns the code of the *Error in err's tree, or "".
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// IsNotFound reports whether the object does not exist, or is another account's.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// problemIn parses a refusal. A proxy between client and server may have made it.
func problemIn(resp *http.Response, raw []byte) *Error {
	e := &Error{}
	if json.Unmarshal(raw, e) != nil || e.Code == "" {
		e = &Error{Code: "http_" + strconv.Itoa(resp.StatusCode), Title: http.StatusText(resp.StatusCode),
			Detail: "The response is not from paylink: " + resp.Status + "."}
	}
	e.Status = resp.StatusCode
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get("Request-Id")
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return e
}

// retryAfter parses the header: seconds, or a date.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(s, 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
