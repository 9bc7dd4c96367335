package frame

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
)

// Limits of an attempt id, as of a payer's.
const (
	minAttempt = 16
	MaxAttempt = 64
)

// NewAttempt returns the attempt id of a form that is not sent yet. It goes into the page
// as @attempt(v), and comes back with the form.
func NewAttempt() string { return id.New(id.Request) }

// Once makes the change of a posted form. The form's attempt id is its idempotency key:
// the record of the first response is part of the commit of the change, under the API's
// shape for it (gateway/api.Renderer.Shapes). If the form was processed before, nothing
// changes and the recorded response is returned. It is nil if the change was made now.
//
// A crash before the commit leaves nothing. If the process crashes after the commit, a
// repetition finds the record.
func (v *Visit) Once(records idempotency.Store, shape string, do func(*idempotency.Ticket) error) (replayed []byte, err error) {
	attempt := v.PostForm.Get("attempt")
	if !AttemptOK(attempt) {
		return nil, fault.New(fault.KindInvalid, "form_invalid", "The form data is incomplete or malformed. Reload the page and try again.")
	}

	body := v.PostForm.Encode() // sorted by name
	sent := []byte(v.Method + "\n" + v.URL.Path + "\n" + body)
	record := idempotency.Record{Scope: v.Account.ID + "/" + v.Mode, Key: "form-" + attempt, Status: http.StatusOK,
		Fingerprint: v.d.config.MAC.Tag(sent)}
	if replayed, err = v.recorded(records, record, sent); replayed != nil || err != nil {
		return replayed, err
	}

	err = do(idempotency.NewTicket(record, shape, v.d.config.Render, v.d.config.Seal))
	if errors.Is(err, idempotency.ErrRaced) {
		replayed, err = v.recorded(records, record, sent)
		if replayed == nil && err == nil {
			err = fault.Unavailable(
				"idempotency_key_raced",
				0,
				idempotency.ErrRaced,
				"Another request with this Idempotency-Key was processed first. Retry to get its response.",
			)
		}
	}

	return replayed, err
}

// recorded returns the recorded response to the form, or nil.
func (v *Visit) recorded(records idempotency.Store, want idempotency.Record, sent []byte) ([]byte, error) {
	got, err := records.GetIdempotency(v.Context(), want.Scope, want.Key)
	if err != nil || got == nil {
		return nil, err
	}
	if !v.d.config.MAC.Check(sent, got.Fingerprint) {
		return nil, fault.New(
			fault.KindMismatch,
			"form_resent",
			"This form was already submitted with different content. Reload the page to submit it again.",
		)
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
	return !issuer.HasNumber(s)
}

// RecordedID returns the id of the object in a recorded response, which is JSON in the
// API's shape.
func RecordedID(answer []byte) (string, error) {
	var o struct {
		ID string `json:"id"`
	}
	err := json.Unmarshal(answer, &o)
	return o.ID, err
}
