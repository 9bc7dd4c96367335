// Package obs observes paylink: structured logs that can't contain a card number or a secret,
// and metrics.
package obs

import (
	"context"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

const redacted = "[redacted]"

// cardLike matches what is longer than any timestamp with its separators, and as long as a card
// number.
var cardLike = regexp.MustCompile(`\b(?:\d[ -]?){11,18}\d\b`)

var secretLike = regexp.MustCompile(
	`\b(?:pl_(?:test|live)_[0-9A-Za-z]{20,}|whsec_[0-9A-Za-z+/=]{20,}|eyJ[0-9A-Za-z_-]{20,}\.[0-9A-Za-z_.-]+)`,
)

// secretKeys are keys whose values are never logged, whatever they hold.
var secretKeys = map[string]bool{"password": true, "secret": true, "authorization": true, "cookie": true, "card": true,
	"cvc": true, "number": true, "token": true, "body": true}

// NewLogger returns a logger of JSON lines. It redacts every value that looks like a card
// number (12 to 19 digits that pass the Luhn check), a key or a session. It writes a few lines
// a second of the same warning or error, and then how many it left out.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr})
	return slog.New(newSampler(requestHandler{h}, time.Now))
}

func redactAttr(_ []string, a slog.Attr) slog.Attr {
	if secretKeys[strings.ToLower(a.Key)] {
		return slog.String(a.Key, redacted)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		return slog.String(a.Key, Redact(a.Value.String()))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			return slog.String(a.Key, Redact(err.Error()))
		}
	}
	return a
}

// Redact replaces what must not be logged.
func Redact(s string) string {
	s = secretLike.ReplaceAllString(s, redacted)
	return cardLike.ReplaceAllStringFunc(s, func(m string) string {
		if luhn(m) {
			return redacted
		}
		return m
	})
}

func luhn(s string) bool {
	sum, n := 0, 0
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		d := int(s[i] - '0')
		if n%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		n++
	}
	return n >= 12 && sum%10 == 0
}

type requestKey struct{}

// WithRequestID makes every log line under ctx name the request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID returns the id of the request that ctx belongs to; "" if there is none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

type requestHandler struct{ slog.Handler }

func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Message = Redact(r.Message)
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(a)}
}

func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}
