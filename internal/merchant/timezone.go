package merchant

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
)

// Zone returns the time zone in which the account's days begin: the chosen one, or UTC.
func (a Account) Zone() *time.Location {
	zone, err := calendar.Zone("timeZone", a.TimeZone)
	if err != nil { // a name that this release's zones lack
		return time.UTC
	}
	return zone
}

// SetTimeZone implements Service. An unknown name is time_zone_unknown.
func (l *Local) SetTimeZone(ctx context.Context, account, zone string) (Account, error) {
	if zone == "" {
		return Account{}, fault.Invalid("timeZone", "time_zone_unknown", "timeZone must be an IANA time zone such as Europe/Berlin or UTC.")
	}
	if _, err := calendar.Zone("timeZone", zone); err != nil {
		return Account{}, err
	}
	ctx = l.did(ctx, account, activity.TimeZoneChanged, account, map[string]string{"zone": zone})
	if err := l.users.PutTimeZone(ctx, account, zone, false); err != nil {
		return Account{}, err
	}
	return l.GetAccount(ctx, account)
}

// GuessTimeZone implements Service. It never replaces a zone that was chosen, even
// concurrently.
func (l *Local) GuessTimeZone(ctx context.Context, account, zone string) error {
	if _, err := calendar.Zone("timeZone", zone); zone == "" || err != nil {
		return nil //nolint:nilerr // an unknown name from a browser is ignored
	}
	a, err := l.users.GetAccount(ctx, account)
	if err != nil || a.TimeZone != "" {
		return err
	}
	return l.users.PutTimeZone(ctx, account, zone, true)
}
