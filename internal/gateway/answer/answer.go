// Package answer has what the faces of the API share: responses that are rendered into the
// commit of their effect, and requests that take effect once under an idempotency key.
//
// A face is one look of the API: its addresses, its decoding and the JSON of its
// objects. A face brings its shapes (Shapes) and its way to write (Face). Everything
// else is common: one space of keys for each account and mode, one kind of record.
//
// A record belongs to the face that made it. The face is part of the request's
// fingerprint, so the same key on another face is a request of another kind and is
// refused with idempotency_key_reused; the recorded bytes never leave by another
// face. The JSON API is the face without a name: its fingerprints and shapes are
// those of the versions that had no other face.
package answer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Shape turns the object of a commit into the response. It returns false for an object that
// it is not made for. It needs nothing of the request, so that a service in another process
// renders the same bytes into its own commit.
type Shape func(object any) (answer any, ok bool)

// Of returns the shape of the objects of one type.
func Of[T, A any](show func(T) A) Shape {
	return func(object any) (any, bool) {
		o, ok := object.(T)
		if !ok {
			return nil, false
		}
		return show(o), true
	}
}

// Shapes are the answers of a face that a commit may carry, by name. Names travel
// between processes of two versions: never reuse one. They contain no slash.
type Shapes map[string]Shape

// Faces are the shapes of every face, by the name of the face; "" is the JSON API.
type Faces map[string]Shapes

// Render returns the answer of a shape, as a ticket names it, for the object about to
// be committed. It returns an error if the face or the shape is unknown here, or the
// shape is not made for the object; nothing is committed then.
func (f Faces) Render(shape string, object any) ([]byte, error) {
	face, name, named := strings.Cut(shape, "/")
	if !named {
		face, name = "", shape
	}
	if show := f[face][name]; show != nil {
		if answer, ok := show(object); ok {
			return json.Marshal(answer)
		}
	}

	return nil, fmt.Errorf("no answer of shape %q for a committed %T", shape, object)
}

// Face is how one look of the API answers. Every member but Name is required.
type Face struct {
	Name   string // "" is the JSON API; never changes, contains no slash
	Shapes Shapes
	// Write sends an answer that is rendered: an object, or what Decline returned.
	Write func(w http.ResponseWriter, r *http.Request, status int, body []byte)
	// Fail answers with an error, and logs what the answer must not show.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
	// Decline renders an issuer's decline, the one refusal that is recorded.
	Decline func(r *http.Request, err error) (status int, body []byte, failed error)
}

// shape returns the name that tickets have for a shape of this face.
func (f *Face) shape(name string) string {
	if f.Name == "" {
		return name
	}
	return f.Name + "/" + name
}
