package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
)

// A form has a partition of its own, named by its public id, so that opening its page costs one
// keyed read outside the account's partitions. Beside the account's links is a marker that never
// changes, by which the forms are listed.
const (
	formPrefix = "F#"
	formSort   = "F"
)

// formKey returns the key of a form's item.
func formKey(formID string) key { return key{formPrefix + formID, formSort} }

// formMarker returns the key of a form's marker, always in the account's first bucket.
func formMarker(account, formID string) key { return key{partition(account, 0), formPrefix + formID} }

// encodeForm returns the item of a form.
func encodeForm(f link.Form) (item, error) {
	raw, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	blob, err := pack(appendPiece(nil, raw))
	if err != nil {
		return nil, err
	}

	i := itemBuilder(formKey(f.ID).item())
	i[attrBlob], i[attrRevision] = bin(blob), num(f.Revision)
	return item(i), nil
}

// decodeForm returns the form of an item. It returns damaged if the blob cannot be read or is
// another form's.
func decodeForm(i item) (f link.Form, err error) {
	name := strings.TrimPrefix(text(i, attrPartition), formPrefix)
	parts, err := open(bytesOf(i, attrBlob))
	if err == nil {
		err = json.Unmarshal(parts.doc, &f)
	}
	if err == nil && f.ID != name {
		err = errBlob
	}

	if err != nil {
		return link.Form{}, damaged("form", name, err)
	}
	return f, nil
}

// isForm reports whether a row is a form, not its marker.
func isForm(row item) bool {
	return text(row, attrSort) == formSort && strings.HasPrefix(text(row, attrPartition), formPrefix)
}

// CreateForm implements link.FormStore. Form, marker and record are one transaction. A form whose
// id exists stays unchanged, because this is a repetition of the same call.
func (s *Store) CreateForm(ctx context.Context, f link.Form, r *idempotency.Record) error {
	row, err := encodeForm(f)
	if err != nil {
		return err
	}
	writes := []write{{put: row, condition: ifNew}, {put: formMarker(f.Account, f.ID).item(), condition: ifNew}}
	if r != nil {
		writes = append(writes, putRecord(*r))
	}
	return s.commit(ctx, token(f.ID, writes), writes, func(place int, _ item, again bool) error {
		if place < 2 {
			return nil // this same form is already stored
		}
		if again { // our earlier try may have written the record, with the form
			if there, err := s.getItem(ctx, formKey(f.ID), true); err != nil || there != nil {
				return err
			}
		}
		return idempotency.ErrRaced
	})
}

// UpdateForm implements link.FormStore. The account is checked on a read before the write; it never
// changes. If the revision does not match, the same content is success (a repetition) and other
// content is link.ErrFormChanged.
func (s *Store) UpdateForm(ctx context.Context, f link.Form, expected int64) error {
	row, err := encodeForm(f)
	if err != nil {
		return err
	}

	before, err := s.FindForm(ctx, f.ID)
	if err != nil {
		return err
	}

	if before.Account != f.Account {
		return fault.NotFound("form")
	}

	w := write{put: row, condition: "r = :r", values: values{":r": num(expected)}}
	return s.commit(ctx, "", []write{w}, func(_ int, found item, _ bool) error {
		if found == nil {
			return fault.NotFound("form")
		}
		is, err := decodeForm(found)
		if err != nil {
			return err
		}
		same, err := sameForm(is, f)
		if err == nil && !same {
			err = link.ErrFormChanged
		}
		return err
	})
}

// sameForm reports whether the stored form is what this same call has written.
func sameForm(is, want link.Form) (bool, error) {
	a, errA := json.Marshal(is)
	b, errB := json.Marshal(want)
	return string(a) == string(b), errors.Join(errA, errB)
}

// FindForm implements link.FormReader with one consistent read.
func (s *Store) FindForm(ctx context.Context, formID string) (link.Form, error) {
	found, err := s.getItem(ctx, formKey(formID), true)
	if err != nil {
		return link.Form{}, err
	}
	if found == nil {
		return link.Form{}, fault.NotFound("form")
	}
	return decodeForm(found)
}

// ListForms implements link.FormStore, newest first. It reads the account's markers, then the
// forms, because a marker does not show the mode or whether the form is archived. One damaged form
// fails the whole list.
func (s *Store) ListForms(ctx context.Context, f link.FormFilter) ([]link.Form, error) {
	last := formPrefix + "~" // after every id
	if f.Before != "" {
		last = formPrefix + f.Before
	}
	markers := s.newPages(dynamodb.QueryInput{ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(batchItems),
		KeyConditionExpression:    aws.String("pk = :p AND sk BETWEEN :a AND :z"),
		ExpressionAttributeValues: values{":p": str(partition(f.Account, 0)), ":a": str(formPrefix), ":z": str(last)}})

	order := func(a, b item) int { return strings.Compare(text(b, attrSort), text(a, attrSort)) }
	var list []link.Form
	for len(list) < f.Limit {
		rows, err := merge(ctx, []*pages{markers}, order, min(batchItems, max(f.Limit-len(list), 10)))
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			break
		}
		found, err := s.marked(ctx, rows)
		if err != nil {
			return nil, err
		}
		for _, form := range found {
			if form.Mode == f.Mode && form.ID != f.Before && !form.ArchivedAt.IsZero() == f.Archived {
				list = append(list, form)
			}
		}
	}

	return list[:min(len(list), f.Limit)], nil
}

// marked reads the forms of markers, in order. A marker without a form is left out.
func (s *Store) marked(ctx context.Context, markers []item) ([]link.Form, error) {
	keys := make([]key, len(markers))
	for i, m := range markers {
		keys[i] = formKey(strings.TrimPrefix(text(m, attrSort), formPrefix))
	}
	rows, err := s.getItems(ctx, keys)
	if err != nil {
		return nil, err
	}

	byID := map[string]item{}
	for _, row := range rows {
		byID[text(row, attrPartition)] = row
	}

	var list []link.Form
	for _, k := range keys {
		row, ok := byID[k.pk]
		if !ok {
			continue
		}
		f, err := decodeForm(row)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}

	return list, nil
}

// EachForm calls visit for every form, in no particular order. A damaged one is passed as its
// error. It scans the whole table.
func (s *Store) EachForm(ctx context.Context, visit func(link.Form, error) error) error {
	return s.scan(ctx, func(rows []item) error {
		for _, row := range rows {
			if !isForm(row) {
				continue
			}
			f, err := decodeForm(row)
			if err := visit(f, err); err != nil {
				return err
			}
		}
		return nil
	})
}

// LoadForms puts missing forms, and introduces their accounts. The form comes before its marker, so
// that a marker never names a form that was not loaded. It can be repeated after a crash.
func (s *Store) LoadForms(ctx context.Context, list []link.Form) error {
	introduced := map[string]bool{}
	for _, f := range list {
		if introduced[f.Account] {
			continue
		}
		if _, err := s.introduce(ctx, f.Account); err != nil {
			return err
		}
		introduced[f.Account] = true
	}
	err := load(ctx, s, list, encodeForm)
	if err != nil {
		return err
	}
	return load(ctx, s, list, func(f link.Form) (item, error) { return formMarker(f.Account, f.ID).item(), nil })
}
