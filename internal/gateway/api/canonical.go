package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// The fingerprint of an idempotency key is made from the decoded request, so a
// repetition counts as the same request however it is written: members have no order,
// 12.5 is 12.50, and a member that states its default is the same as an absent one.
//
// A member whose absence means a certain value has that value in the struct tag
// `default`, in JSON.

// canonical returns the canonical form of a body, or nil if the body does not decode;
// then only its bytes can be compared.
func canonical(rt Route, body []byte) []byte {
	in := reflect.New(reflect.TypeOf(struct{}{}))
	if rt.in != nil {
		in = reflect.New(reflect.TypeOf(rt.in))
	}
	if len(body) == 0 {
		body = []byte("{}")
	}

	// A default that a handler applies later is not visible here: what counts is the tag.
	if err := decode(body, in.Interface()); err != nil {
		return nil
	}
	out, err := json.Marshal(members(in.Elem())) // sorts the members
	if err != nil {
		return nil
	}
	return out
}

// members returns the members of a decoded object that differ from their default, by their
// JSON name. It descends into embedded structs, whose members belong to the same object.
func members(object reflect.Value) map[string]any {
	out := map[string]any{}
	for i := range object.NumField() {
		f := object.Type().Field(i)
		if f.Anonymous {
			for name, value := range members(object.Field(i)) {
				out[name] = value
			}
			continue
		}
		m, ok := object.Field(i).Interface().(member)
		if !ok || !m.given() {
			continue
		}

		value := oneForm(reflect.ValueOf(m.value()))
		if def, ok := f.Tag.Lookup("default"); ok {
			if encoded, err := json.Marshal(value); err == nil && bytes.Equal(encoded, []byte(def)) {
				continue
			}
		}
		out[f.Tag.Get("json")] = value
	}

	return out
}

// member is implemented by field and nullable.
type member interface {
	given() bool
	value() any // nil: null
}

// given reports whether the body has the member.
func (f field[T]) given() bool { return f.Set }

// value returns the member's value.
func (f field[T]) value() any { return f.Value }

// given reports whether the body has the member, even as null.
func (f nullable[T]) given() bool { return f.Set }

// value returns the member's value, or nil for null.
func (f nullable[T]) value() any {
	if f.Null {
		return nil
	}
	return f.Value
}

// oneForm returns the canonical form of a value, ready for encoding/json: amounts without
// superfluous zeros, times in UTC, objects without their defaults. Every other value stays
// as it is.
func oneForm(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}

	switch value := v.Interface().(type) {
	case decimal:
		return value.plain()
	case stamp:
		return value.instant()
	}

	switch v.Kind() {
	case reflect.Struct:
		return members(v)
	case reflect.Slice:
		all := make([]any, 0, v.Len())
		for i := range v.Len() {
			all = append(all, oneForm(v.Index(i)))
		}
		return all
	default:
		return v.Interface()
	}
}

// plain returns an amount without leading zeros, and without zeros at its end. Text that is
// not a plain decimal stays as it is.
func (d decimal) plain() string {
	if !plainDecimal(string(d)) {
		return string(d)

	}
	whole, frac, _ := strings.Cut(string(d), ".")
	whole, frac = strings.TrimLeft(whole, "0"), strings.TrimRight(frac, "0")
	if whole == "" {
		whole = "0"
	}
	if frac != "" {
		return whole + "." + frac
	}
	return whole
}

// stamp is a time, or where the contract says so a date, as the caller wrote it.
// RFC 3339, section 5.6, lets T and Z be written small.
type stamp string

// UnmarshalText reads the member, and writes its T and Z in upper case, because time.Parse
// accepts only these.
func (s *stamp) UnmarshalText(text []byte) error {
	*s = stamp(rfc3339(string(text)))
	return nil
}

// rfc3339 returns a time with T and Z in upper case, and any other text as it is.
func rfc3339(s string) string {
	const date = len("2006-01-02")
	if len(s) <= date || (s[date] != 't' && s[date] != 'T') {
		return s
	}
	return s[:date] + strings.ToUpper(s[date:])
}

// instant returns the same text for two spellings of one moment. Text that is not a time
// stays as it is.
func (s stamp) instant() string {
	t, err := time.Parse(time.RFC3339Nano, string(s))
	if err != nil {
		return string(s)
	}
	return t.UTC().Format(time.RFC3339Nano)
}
