package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
)

// MaxBodyBytes bounds the body of a request. The largest link fits, even from a client
// that escapes characters as \u and four digits: six bytes for one. Most JSON libraries
// do so beyond ASCII, and some, such as Go's, for "<". The rest of a link is less than a
// third of its metadata (TestLargestLinkIsTaken).
const MaxBodyBytes = 8 * link.MaxMetadataBytes

// maxAmountDigits bounds the text of an amount before it is parsed.
const maxAmountDigits = 32

// readBody reads the body of a request, up to MaxBodyBytes, and checks that it is declared
// as JSON. Without a body it returns nil and checks nothing. A longer body is
// body_too_large; if its length is declared, it is refused unread and the connection is
// closed. A body that breaks off is body_unreadable.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxBodyBytes {
		w.Header().Set("Connection", "close")
		return nil, errTooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBodyBytes))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, errTooLarge()
		}
		return nil, &fault.Error{Kind: fault.KindInvalid, Code: "body_unreadable", Detail: "The request body is incomplete.", Cause: err}
	}
	// Some clients begin with a byte order mark, which readers may ignore (RFC 8259,
	// section 8.1).
	if body = bytes.TrimPrefix(body, []byte("\ufeff")); len(body) == 0 {
		return nil, nil
	}
	return body, checkContentType(r.Header)
}

// noNumbers returns card_number_in_text for a body that contains a card number, in a text or in
// the name of a member. Passwords are hashed and credentials of issuers are sealed, so they may be
// any text.
func noNumbers(body []byte) error {
	at, found := answer.NumberAt(body, func(p jsontext.Pointer) bool {
		name := p.LastToken()
		return name == "credentials" || strings.HasSuffix(strings.ToLower(name), "password")
	})
	if !found {
		return nil
	}
	return issuer.NumberFault(spell(at))
}

// noBody returns body_unexpected for a request with a body, for calls that take none. It
// reads at most one byte.
func noBody(r *http.Request) error {
	if n, err := io.ReadFull(r.Body, make([]byte, 1)); n > 0 || (err != nil && !errors.Is(err, io.EOF)) {
		return fault.New(fault.KindInvalid, "body_unexpected", "This call takes no body.")
	}
	return nil
}

// errTooLarge returns the fault of a body that is longer than MaxBodyBytes.
func errTooLarge() error {
	return fault.New(fault.KindTooLarge, "body_too_large", "The body must be at most %d bytes.", MaxBodyBytes)
}

// checkContentType returns unsupported_media_type unless the headers declare JSON in UTF-8,
// once, without compression.
func checkContentType(h http.Header) error {
	unsupported := fault.New(
		fault.KindUnsupported,
		"unsupported_media_type",
		"The body must be JSON in UTF-8, sent as Content-Type: application/json without a Content-Encoding.",
	)
	if encoding := h.Get("Content-Encoding"); len(h.Values("Content-Type")) != 1 ||
		(encoding != "" && !strings.EqualFold(encoding, "identity")) {
		return unsupported
	}

	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return unsupported
	}
	// Clients also write UTF8, and US-ASCII, which is a subset.
	if charset, ok := params["charset"]; ok && !slices.Contains([]string{"utf-8", "utf8", "us-ascii"}, strings.ToLower(charset)) {
		return unsupported
	}
	return nil
}

// decode fills dst, a pointer to a struct of field values, from one JSON object. It is
// stricter than encoding/json: it refuses unknown members, duplicate members, names in
// another case, invalid UTF-8, and data after the object.
func decode(body []byte, dst any) error {
	if len(body) == 0 {
		return fault.New(fault.KindInvalid, "json_invalid", "The body must be a JSON object; it is empty.")
	}
	err := json.Unmarshal(body, dst, json.RejectUnknownMembers(true), json.WithUnmarshalers(noNullTexts))
	if err == nil {
		if jsontext.Value(body).Kind() != '{' { // null decodes into anything
			return fault.New(fault.KindInvalid, "json_invalid", "The body must be a JSON object.")
		}
		return nil
	}
	// The decoder may meet a wrong member before a syntax error. The syntax of the
	// whole body is checked first, because a syntax error matters more.
	if v := jsontext.Value(body); !v.IsValid() {
		return syntaxFault(body, err)
	}
	return semanticFault(err)
}

// noNullTexts refuses null for a text in a list or a map, as field refuses it for a
// member. encoding/json would read it as "", which is another value.
var noNullTexts = json.UnmarshalFromFunc(func(dec *jsontext.Decoder, _ *string) error {
	if dec.PeekKind() != 'n' {
		return errors.ErrUnsupported // the usual way
	}
	if err := dec.SkipValue(); err != nil {
		return err
	}
	return ruleError("a string, not null; omit it instead")
})

// syntaxFault explains a body that is not JSON: the member that is given twice, or the
// position of the error. err is what decoding into the struct returned; the body is parsed
// again without the struct, so that the first syntax error is reported and not a wrong type
// before it.
func syntaxFault(body []byte, err error) error {
	var syntactic *jsontext.SyntacticError
	probe := json.Unmarshal(body, new(jsontext.Value))
	if !errors.As(probe, &syntactic) && !errors.As(err, &syntactic) {
		return fault.New(fault.KindInvalid, "json_invalid", "The body is not valid JSON.")
	}
	if errors.Is(syntactic, jsontext.ErrDuplicateName) {
		return fault.Invalid(spell(syntactic.JSONPointer), "parameter_duplicate", "Duplicate member: send it once.")
	}
	return fault.New(fault.KindInvalid, "json_invalid", "The body is not valid JSON in UTF-8, near byte %d.", syntactic.ByteOffset)
}

// semanticFault explains valid JSON that does not fit the struct: an unknown member, or a
// value that is of the wrong type or breaks the rule of its type. The fault names the
// member.
func semanticFault(err error) error {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return fault.New(fault.KindInvalid, "json_invalid", "The body is not valid JSON.")
	}
	param := spell(semantic.JSONPointer)
	if errors.Is(err, json.ErrUnknownName) {
		return fault.Invalid(param, "parameter_unknown", "This call does not accept this parameter.")
	}
	var rule ruleError
	if errors.As(err, &rule) {
		return fault.Invalid(param, "parameter_invalid", "%s must be %s.", param, string(rule))
	}
	if param == "" {
		return fault.New(fault.KindInvalid, "json_invalid", "The body must be a JSON object.")
	}
	return fault.Invalid(param, "parameter_invalid", "%s must be %s.", param, typeRule(semantic.GoType))
}

// spell turns a JSON pointer into the notation of callers, a.b[0], shortened to 200 bytes.
func spell(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if n, err := strconv.ParseUint(token, 10, 32); err == nil && b.Len() > 0 {
			b.WriteString("[" + strconv.FormatUint(n, 10) + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}

	const longestBytes = 200 // the error repeats the caller's text: keep it short
	if b.Len() > longestBytes {
		return strings.ToValidUTF8(b.String()[:longestBytes], "") + "…"
	}
	return b.String()
}

// ruleError says what a value must be. It completes the sentence "Must be …" in the fault
// for the member.
type ruleError string

func (e ruleError) Error() string { return string(e) }

// typeRule says which JSON a Go type takes, in words that complete "Must be …".
func typeRule(t reflect.Type) string {
	if t == nil {
		return "of another type"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int64, reflect.Int:
		return "a whole number of at most 64 bits, without fraction or exponent"
	case reflect.Slice:
		return "an array of " + strings.TrimPrefix(strings.TrimPrefix(typeRule(t.Elem()), "an "), "a ") + " values"
	case reflect.Map:
		return "an object of strings"
	default:
		return "an object"
	}
}

// field is one member of a request body: absent, or a value. Null is refused, because
// a client that sends it may mean "none" or "the default". Where the contract gives
// null a meaning, use nullable.
type field[T any] struct {
	Set   bool
	Value T
}

// UnmarshalJSONFrom reads the member.
func (f *field[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == 'n' {
		if err := dec.SkipValue(); err != nil {
			return err
		}
		return ruleError(typeRule(reflect.TypeFor[T]()) + ", not null; omit it instead")
	}
	f.Set = true
	return json.UnmarshalDecode(dec, &f.Value)
}

// nullable is a member for which null has a meaning of its own.
type nullable[T any] struct {
	Set, Null bool
	Value     T
}

// UnmarshalJSONFrom reads the member; null sets Null and leaves the value at zero.
func (f *nullable[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	f.Set = true
	if dec.PeekKind() == 'n' {
		f.Null = true
		return dec.SkipValue()
	}
	return json.UnmarshalDecode(dec, &f.Value)
}

// decimal is an amount as the caller wrote it: the text of a string, or the digits of
// a number. It is never converted to a float.
type decimal string

// UnmarshalJSONFrom reads a string or a number. checkAmount decides whether the text is
// an amount, because that is another error than a wrong type.
func (d *decimal) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch v.Kind() {
	case '"':
		raw, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return err
		}
		*d = decimal(raw)
	case '0':
		*d = decimal(v)
	default:
		return ruleError(`a decimal string such as "12.50", or a number`)
	}
	return nil
}

// plainDecimal reports whether a text is digits with at most one point between them.
// Package money, which knows the currency, checks leading zeros, size and decimals.
func plainDecimal(s string) bool {
	whole, frac, point := strings.Cut(s, ".")
	return whole != "" && (frac != "") == point && allDigits(whole) && allDigits(frac)
}

// allDigits reports whether a text has only the digits 0 to 9. The empty text does.
func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// text converts a member with a time to a member with a text.
func text(f field[stamp]) field[string] { return field[string]{f.Set, string(f.Value)} }

// required returns an error if a member is absent.
func required(set bool, param string) error {
	if set {
		return nil
	}
	return fault.Invalid(param, "parameter_missing", "%s is required.", param)
}
