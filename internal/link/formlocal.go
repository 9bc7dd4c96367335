package link

import (
	"context"
	"errors"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/stream"
)

var _ FormService = (*Local)(nil)

// CreateForm checks the request, and commits the form with the idempotency record. A crash
// leaves both or nothing.
func (l *Local) CreateForm(ctx context.Context, r FormRequest) (Form, error) {
	now := l.now().UTC().Truncate(time.Millisecond)
	f, err := r.form(now)
	if err != nil {
		return Form{}, err
	}
	if f.ID, err = l.placed(ctx, id.Form, f.Account); err != nil {
		return Form{}, err
	}

	f.Revision, f.CreatedAt = 1, now
	record, err := r.Ticket.Fill(f, now)
	if err != nil {
		return Form{}, err
	}
	if err := l.store.CreateForm(ctx, f, record); err != nil {
		return Form{}, err
	}

	return f, nil
}

// GetForm returns one form, or fault.NotFound if it belongs to another account or to the
// other mode.
func (l *Local) GetForm(ctx context.Context, account, mode, formID string) (Form, error) {
	f, err := l.Form(ctx, formID)
	if err == nil && (f.Account != account || f.Mode != mode) {
		err = fault.NotFound("form")
	}
	if err != nil {
		return Form{}, err
	}
	return f, nil
}

// ListForms returns a page of forms, newest first. A limit out of bounds is replaced by the
// default or the largest one.
func (l *Local) ListForms(ctx context.Context, f FormFilter) ([]Form, error) {
	if f.Before != "" && !id.Valid(id.Form, f.Before) {
		return nil, fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass nextCursor from a previous page.")
	}
	if f.Limit <= 0 {
		f.Limit = DefaultPage
	}
	f.Limit = min(f.Limit, MaxPage+1)
	return l.store.ListForms(ctx, f)
}

// UpdateForm replaces the form, at the revision that the caller has seen, or at the present
// one if the caller gives 0. It fails with form_archived, or with changed_meanwhile if the
// revision differs. Links that the form made keep what they have.
func (l *Local) UpdateForm(ctx context.Context, formID string, revision int64, r FormRequest) (Form, error) {
	was, err := l.GetForm(ctx, r.Account, r.Mode, formID)
	if err != nil {
		return Form{}, err
	}
	if !was.ArchivedAt.IsZero() {
		return Form{}, fault.New(fault.KindConflict, "form_archived", "The form was archived at %s.", FormatTime(was.ArchivedAt))
	}
	if revision != 0 && revision != was.Revision {
		return Form{}, formChanged()
	}

	f, err := r.form(l.now().UTC().Truncate(time.Millisecond))
	if err != nil {
		return Form{}, err
	}

	f.ID, f.CreatedAt = was.ID, was.CreatedAt
	return l.replace(ctx, f, was.Revision)
}

// replace writes the form as the revision after the expected one.
func (l *Local) replace(ctx context.Context, f Form, expected int64) (Form, error) {
	f.Revision = expected + 1
	err := l.store.UpdateForm(ctx, f, expected)
	if errors.Is(err, ErrFormChanged) {
		err = formChanged()
	}
	if err != nil {
		return Form{}, err
	}
	return f, nil
}

// formChanged returns the fault of a change that was based on an older revision.
func formChanged() error {
	return fault.New(
		fault.KindConflict,
		"changed_meanwhile",
		"The form was changed by another request. Read it again, then repeat your change.",
	)
}

// ArchiveForm ends a form and returns it. Links that it made stay valid. Archiving again
// changes nothing.
func (l *Local) ArchiveForm(ctx context.Context, account, mode, formID string) (Form, error) {
	f, err := l.GetForm(ctx, account, mode, formID)
	if err != nil || !f.ArchivedAt.IsZero() {
		return f, err
	}
	f.ArchivedAt = l.now().UTC().Truncate(time.Millisecond)
	f.UpdatedAt = f.ArchivedAt
	return l.replace(ctx, f, f.Revision)
}

// FormLink returns the link of an attempt, and makes it in one commit with its event. A
// crash leaves all of it or nothing; the same attempt with the same content finds it. It
// fails with form_inactive, and with a fault that names the field that is wrong.
func (l *Local) FormLink(ctx context.Context, r FormLinkRequest) (Link, error) {
	f, err := l.Form(ctx, r.Form)
	if err != nil {
		return Link{}, err
	}
	if !f.Active() {
		return Link{}, FormInactive()
	}

	request, shown, err := f.linkRequest(r)
	if err != nil {
		return Link{}, err
	}

	linkID, err := f.linkID(r.Attempt, request, shown, l.now())
	if err != nil {
		return Link{}, err
	}

	if made, err := l.store.GetLink(ctx, f.Account, linkID); fault.KindOf(err) != fault.KindNotFound {
		return made, err
	}

	now := l.now().Add(aheadIn(l.store, f.Account, f.Mode)).UTC().Truncate(time.Millisecond)
	k, err := request.link(now)
	if err != nil {
		return Link{}, err
	}

	k.ID, k.Form, k.Shown = linkID, f.ID, &shown
	k.Bucket = id.Bucket(k.ID)
	k.Token = Mint(l.ring, Claims{Link: k.ID, Account: k.Account, Bucket: k.Bucket, ExpiresAt: k.ExpiresAt, Mode: k.Mode})
	event, err := newEvent(EventCreated, seqCreated, k, l.URL(k), now)
	if err != nil {
		return Link{}, err
	}

	if err := l.store.CreateLink(ctx, k, []stream.Event{event}, nil); err != nil {
		return Link{}, err
	}

	// Of two concurrent calls the first wins: the stored link counts.
	return l.store.GetLink(ctx, f.Account, linkID)
}

// FormInactive returns the fault of a form that makes no links.
func FormInactive() error {
	return fault.New(fault.KindConflict, "form_inactive", "This form is not active. Nothing was paid.")
}

// Form returns a form by its public id, of any account and mode, with one keyed read.
func (l *LocalVerifier) Form(ctx context.Context, formID string) (Form, error) {
	if !id.Valid(id.Form, formID) || l.forms == nil {
		return Form{}, fault.NotFound("form")
	}
	return l.forms.FindForm(ctx, formID)
}
