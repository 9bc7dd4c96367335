package notify

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/paylink/paylink/internal/stream"
)

// The headers of Standard Webhooks.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// Keys are the functions of the key ring that webhooks need. Seal and Unseal protect secrets
// and bodies from readers of a database file. Sign is Ed25519 under the key that is published
// at /.well-known/jwks.json.
type Keys struct {
	Seal   func(plaintext []byte) []byte
	Unseal func(sealed []byte) ([]byte, error)
	Sign   func(message []byte) []byte
}

// Headers are the headers by which a receiver verifies a body.
type Headers struct{ ID, Timestamp, Signature string }

// SignFor signs the body of an event for an endpoint: HMAC-SHA256 under the secret (and the
// previous one, while it rolls), and Ed25519, over id.timestamp.body, according to Standard
// Webhooks 1.0. It fails only if a secret cannot be opened, which means that its key is
// missing.
func (k Keys) SignFor(e Endpoint, event string, at time.Time, body []byte) (Headers, error) {
	h := Headers{ID: event, Timestamp: strconv.FormatInt(at.Unix(), 10)}
	message := make([]byte, 0, len(event)+len(h.Timestamp)+2+len(body))
	message = append(message, event+"."+h.Timestamp+"."...)
	message = append(message, body...)

	sealed := [][]byte{e.SealedSecret}
	if len(e.PreviousSealedSecret) > 0 && at.Before(e.PreviousUntil) {
		sealed = append(sealed, e.PreviousSealedSecret)
	}
	var signatures []string
	for _, s := range sealed {
		secret, err := k.Unseal(s)
		if err != nil {
			return Headers{}, fmt.Errorf("unseal the secret of %s: %w", e.ID, err)
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(message)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}

	signatures = append(signatures, "v1a,"+base64.StdEncoding.EncodeToString(k.Sign(message)))
	h.Signature = strings.Join(signatures, " ")
	return h, nil
}

// body is an event as it is sent, in the order of its members.
type body struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Test      bool            `json:"test,omitempty"` // a test event: in no feed, without a number
	Seq       int64           `json:"seq"`
	ObjectSeq int64           `json:"objectSeq"`
	CreatedAt string          `json:"createdAt"`
	Mode      string          `json:"mode"`
	Data      json.RawMessage `json:"data"`
}

// Body returns an event as webhooks carry it. It escapes text no more than JSON requires: data
// may have been stored with "<" as six bytes, and a body must stay of a size that receivers
// accept.
func Body(e stream.Event) ([]byte, error) {
	data, err := jsontext.AppendFormat(nil, e.Data, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, err
	}

	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err = enc.Encode(body{
		ID: e.ID, Type: e.Type, Seq: e.Seq, ObjectSeq: e.ObjectSeq,
		CreatedAt: stamp(e.CreatedAt), Mode: e.Mode, Data: data,
	})
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}
