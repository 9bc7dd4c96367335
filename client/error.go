package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Error is what the server refused, after RFC 9457. Code is stable: programs go by
// it, and by Param, which names what of the request is wrong. People, and the logs
// of the server's operator, go by Detail and RequestID.
type Error struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Param     string `json:"param,omitempty"`
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	Type      string `json:"type"`              // where the code is explained, relative to the server
	Payment   string `json:"payment,omitempty"` // that a decline is about
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

// temporary reports whether the very same call may succeed in a moment.
func (e *Error) temporary() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.Retryable || e.Code == "idempotency_key_in_use"
}

// Code is the code of the *Error in err's tree, or "".
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// IsNotFound reports whether the server knows no such thing, or none of yours.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// problemIn reads a refusal. Something between us and the server may have made it.
func problemIn(resp *http.Response, raw []byte) *Error {
	e := &Error{}
	if json.Unmarshal(raw, e) != nil || e.Code == "" {
		e = &Error{Code: "http_" + strconv.Itoa(resp.StatusCode), Title: http.StatusText(resp.StatusCode),
			Detail: "The answer is not one of paylink: " + resp.Status + "."}
	}
	e.Status = resp.StatusCode
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get("Request-Id")
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return e
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(s, 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
