package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits of a webhook.
const (
	DefaultTolerance = 5 * time.Minute // between its timestamp and now
	maxWebhookBytes  = 128 << 10       // a webhook has at most 96 KiB
	maxSignatures    = 16
	secretPrefix     = "whsec_"
)

// The headers of Standard Webhooks.
const (
	HeaderWebhookID        = "Webhook-Id"
	HeaderWebhookTimestamp = "Webhook-Timestamp"
	HeaderWebhookSignature = "Webhook-Signature"
)

// Errors of verification. Answer such a request with 400, and do nothing else.
var (
	ErrWebhookHeaders   = errors.New("paylink: the webhook lacks a header, or has one that cannot be read")
	ErrWebhookTime      = errors.New("paylink: the webhook is too old, or from the future")
	ErrWebhookSignature = errors.New("paylink: no signature of the webhook is right")
	ErrWebhookBody      = errors.New("paylink: the webhook's body is not an event")
)

// WebhookVerifier verifies that a webhook comes from paylink, unaltered and recent. One valid
// signature is enough: HMAC under one of the secrets, or Ed25519 under one of the server's public
// keys (Client.WebhookKeys).
type WebhookVerifier struct {
	Secrets   []string // whsec_…; two while one is being rotated
	Keys      []ed25519.PublicKey
	Tolerance time.Duration    // 0: DefaultTolerance
	Now       func() time.Time // nil: time.Now
}

// NewWebhookVerifier returns a verifier with these secrets.
func NewWebhookVerifier(secrets ...string) *WebhookVerifier {
	return &WebhookVerifier{Secrets: secrets}
}

// Request reads and verifies a request's webhook. The body can be read again afterwards.
func (v *WebhookVerifier) Request(r *http.Request) (Event, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxWebhookBytes+1))
	if err != nil || len(raw) > maxWebhookBytes {
		return Event{}, ErrWebhookBody
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return v.Verify(r.Header, raw)
}

// Verify verifies the headers and the unmodified body, and returns the event. An event may come
// more than once: recognize it by its ID.
func (v *WebhookVerifier) Verify(h http.Header, body []byte) (Event, error) {
	id, stamp, signatures := h.Get(HeaderWebhookID), h.Get(HeaderWebhookTimestamp), h.Get(HeaderWebhookSignature)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || id == "" || signatures == "" {
		return Event{}, ErrWebhookHeaders
	}
	now, tolerance := time.Now(), v.Tolerance
	if v.Now != nil {
		now = v.Now()
	}
	if tolerance <= 0 {
		tolerance = DefaultTolerance
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return Event{}, ErrWebhookTime
	}
	right, err := v.signed([]byte(id+"."+stamp+"."+string(body)), signatures)
	if err != nil {
		return Event{}, err
	}
	if !right {
		return Event{}, ErrWebhookSignature
	}
	var e Event
	if err := json.Unmarshal(body, &e); err != nil || e.ID != id {
		return Event{}, ErrWebhookBody
	}
	return e, nil
}

// signed reports whether one of the signatures is valid.
func (v *WebhookVerifier) signed(message []byte, signatures string) (bool, error) {
	var macs [][]byte
	for _, s := range v.Secrets {
		mac, err := hmacOf(s, message)
		if err != nil {
			return false, err
		}
		macs = append(macs, mac)
	}
	for i, one := range strings.Fields(signatures) {
		if i == maxSignatures {
			break
		}
		version, text, _ := strings.Cut(one, ",")
		given, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		switch version {
		case "v1":
			for _, mac := range macs {
				if hmac.Equal(mac, given) {
					return true, nil
				}
			}
		case "v1a":
			for _, key := range v.Keys {
				if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, given) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

func hmacOf(secret string, message []byte) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil || !strings.HasPrefix(secret, secretPrefix) || len(key) == 0 {
		return nil, errors.New("paylink: a webhook secret is whsec_ and base64")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil), nil
}

// SignWebhook returns the headers of a webhook under a secret, for tests of your own receiver.
func SignWebhook(secret, id string, at time.Time, body []byte) (http.Header, error) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac, err := hmacOf(secret, []byte(id+"."+stamp+"."+string(body)))
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	h.Set(HeaderWebhookID, id)
	h.Set(HeaderWebhookTimestamp, stamp)
	h.Set(HeaderWebhookSignature, "v1,"+base64.StdEncoding.EncodeToString(mac))
	return h, nil
}

// WebhookKeys returns the server's public keys for webhooks, from its JWKS. A new key is
// published at least a minute before it signs: fetch the keys again periodically, and when no
// signature is valid.
func (c *Client) WebhookKeys(ctx context.Context) ([]ed25519.PublicKey, error) {
	var jwks struct {
		Keys []struct {
			Type    string `json:"kty"`
			Curve   string `json:"crv"`
			X       string `json:"x"`
			Purpose string `json:"paylink:purpose"`
		} `json:"keys"`
	}
	if err := c.do(ctx, call{method: http.MethodGet, path: "/.well-known/jwks.json", out: &jwks, open: true}, nil); err != nil {
		return nil, err
	}
	var keys []ed25519.PublicKey
	for _, k := range jwks.Keys {
		if k.Type != "OKP" || k.Curve != "Ed25519" || k.Purpose != "webhook-sign" {
			continue
		}
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("paylink: a public key has %d bytes", len(x))
		}
		keys = append(keys, x)
	}
	return keys, nil
}
