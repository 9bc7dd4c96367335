package frame

import (
	"crypto/hmac"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
)

// Bounds of an attempt, as of a payer's.
const (
	minAttempt = 16
	MaxAttempt = 64
)

// NewAttempt names a form that has not been sent yet. It goes into the page as
// @attempt(v), and comes back with the form.
func NewAttempt() string { return id.New(id.Request) }

// Once makes the change of a posted form. The form's attempt is its idempotency
// key: the record of the first answer rides in the commit of the change, under
// the shape that the API has for it (gateway/api.Renderer.Shapes). A form that was taken
// before changes nothing; its recorded answer is given back, which is nil when the
// change was made just now.
//
// A crash before the commit leaves nothing, one after it is met by the record.
func (v *Visit) Once(records idempotency.Store, shape string, do func(*idempotency.Ticket) error) (replayed []byte, err error) {
	attempt := v.PostForm.Get("attempt")
	if !AttemptOK(attempt) {
		return nil, fault.New(fault.KindInvalid, "form_invalid", "The form did not arrive as your browser should send it. Open the page again.")
	}
	body := v.PostForm.Encode() // sorted by name
	record := idempotency.Record{Scope: v.Account.ID + "/" + v.Mode, Key: "form-" + attempt, Status: http.StatusOK,
		Fingerprint: v.d.config.MAC([]byte(v.Method + "\n" + v.URL.Path + "\n" + body))}
	if replayed, err = v.recorded(records, record); replayed != nil || err != nil {
		return replayed, err
	}
	err = do(idempotency.NewTicket(record, shape, v.d.config.Render, v.d.config.Seal))
	if errors.Is(err, idempotency.ErrRaced) {
		replayed, err = v.recorded(records, record)
		if replayed == nil && err == nil {
			err = fault.Unavailable("idempotency_key_raced", 0, idempotency.ErrRaced, "Another request with this Idempotency-Key came first. Repeat the request to read its answer.")
		}
	}
	return replayed, err
}

// recorded is the answer that the form was given before; nil when there is none.
func (v *Visit) recorded(records idempotency.Store, want idempotency.Record) ([]byte, error) {
	got, err := records.GetIdempotency(v.Context(), want.Scope, want.Key)
	if err != nil || got == nil {
		return nil, err
	}
	if !hmac.Equal(got.Fingerprint, want.Fingerprint) {
		return nil, fault.New(fault.KindMismatch, "form_resent", "This form was sent before with other contents, and was carried out then. Open the page again for another one.")
	}
	return v.d.config.Unseal(got.Answer, want.Associated())
}

// AttemptOK reports whether s has the form of an attempt.
func AttemptOK(s string) bool {
	if len(s) < minAttempt || len(s) > MaxAttempt {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// RecordedID is the id of the object that was answered before.
func RecordedID(answer []byte) (string, error) {
	var o struct {
		ID string `json:"id"`
	}
	err := json.Unmarshal(answer, &o)
	return o.ID, err
}
