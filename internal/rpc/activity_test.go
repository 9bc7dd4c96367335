package rpc_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/rpc"
)

// accountable says of every method how it is accounted for: by the kinds of events that it commits
// with its change, or why it needs none.
var accountable = map[string]string{
	"users.SignUp": activity.SignedUp, "users.SignIn": activity.SignedIn + " " + activity.SignInFailed, "users.SignOut": activity.SignedOut,
	"users.SetMethods": activity.MethodsChanged, "users.SetTimeZone": activity.TimeZoneChanged,
	"users.CreateKey": activity.KeyCreated, "users.RotateKey": activity.KeyRotated, "users.RevokeKey": activity.KeyRevoked,
	"users.EndSession": activity.SessionsEnded, "users.EndSessions": activity.SessionsEnded,
	"users.ChangePassword": activity.PasswordChanged, "users.Reset": activity.PasswordReset, "users.Confirm": activity.EmailConfirmed,
	"users.ConfirmTOTP": activity.SecondFactorAdded, "users.EndTOTP": activity.SecondFactorRemoved,
	"users.RenewRecovery": activity.RecoveryCodesRenewed,
	"users.AddPasskey":    activity.SecondFactorAdded, "users.RemovePasskey": activity.SecondFactorRemoved,
	"users.SignInPasskey": activity.SignedIn,
	"users.Invite":        activity.Invited, "users.WithdrawInvitation": activity.Uninvited, "users.Exported": activity.Exported,
	"users.MoveClock":           "- of test data",
	"users.RequestReset":        "- mails a link; what comes of it is noted",
	"users.SendConfirmation":    "- mails a link; what comes of it is noted",
	"users.BeginTOTP":           "- has no effect until it is confirmed",
	"users.BeginPasskey":        "- has no effect until it is answered",
	"users.BeginPasskeySignIn":  "- has no effect until it is answered",
	"users.RenamePasskey":       "- a name only",
	"links.Create":              "- links.created is an event, with the link itself",
	"links.Cancel":              "- link.canceled is an event",
	"links.CreateForm":          "- makes links, moves no money and lets nobody in",
	"links.UpdateForm":          "- makes links, moves no money and lets nobody in",
	"links.ArchiveForm":         "- makes links, moves no money and lets nobody in",
	"links.FormLink":            "- by payers",
	"transactions.Submit":       "- by payers; the payment's log says it",
	"transactions.Notice":       "- by issuers; the payment's log says it",
	"transactions.Repair":       "- inquires, and says so in the payment's log",
	"transactions.Capture":      activity.CaptureAsked,
	"transactions.Void":         activity.VoidAsked,
	"transactions.Refund":       activity.RefundAsked,
	"transactions.Review":       activity.Reviewed,
	"transactions.Mark":         activity.Labeled,
	"transactions.Dispute":      activity.DisputeStated,
	"notifier.Create":           activity.EndpointCreated,
	"notifier.Update":           activity.EndpointUpdated,
	"notifier.Delete":           activity.EndpointDeleted,
	"notifier.Rotate":           activity.EndpointRotated,
	"notifier.MoveClock":        "- of test data",
	"notifier.Test":             "- sends an event again, to the same endpoint",
	"notifier.Redeliver":        "- sends an event again, to the same endpoint",
	"notifier.RedeliverAll":     "- sends events again, to the same endpoint",
	"notifier.CancelRedelivery": "- sends fewer events again",
	"notifier.SendLink":         "- mails a link; the mail is kept",
	"notifier.SetPreferences":   "- mails to oneself",
	"notifier.Unsubscribe":      "- by payers",
	"fraud.PutRule":             activity.RuleSaved, "fraud.DeleteRule": activity.RuleDeleted, "fraud.PutListEntry": activity.ListEntrySaved,
	"fraud.DeleteListEntry": activity.ListEntryDeleted, "fraud.PutPolicy": activity.FraudPolicySaved,
	"fraud.Challenge":     "- by payers",
	"fraud.Assess":        "- by payers",
	"simulator.pages":     "- by payers",
	"simulator.Authorize": "- the payment's log says it", "simulator.Capture": "- the payment's log says it",
	"simulator.Refund": "- the payment's log says it", "simulator.Reverse": "- the payment's log says it",
}

// reading lists the methods that change nothing.
var reading = strings.Fields(`Authenticate Me GetAccount Clock Keys GetKey AuthenticateKey AuthenticateSecret Policy Sessions Security
	Invitations Invitation Users Activity GetIdempotency Get List GetForm ListForms Open Verify Form Balances Events Moves Overview Search
	Seen ByAttempt Latest Receipt Deliveries Delivery Redelivery Redeliveries Ready Preferences Subscription Mails Rows Row Related Figures
	Rules RuleVersions Lists Backtest Models Lookup`)

// TestEveryChangeIsAccountedFor walks the methods of every service.
func TestEveryChangeIsAccountedFor(t *testing.T) {
	found, kinds := map[string]bool{}, map[string]bool{}
	for _, service := range everyService {
		for _, caller := range rpc.Callers(service) {
			for _, method := range rpc.Methods(caller, service) {
				name := service + "." + method
				found[name] = true
				how, changes := accountable[name]
				if reads := slices.Contains(reading, method) || method == "PutIdempotency"; changes == reads {
					t.Errorf("%s must be in one of the two lists", name)
				}
				if strings.HasPrefix(how, "- ") {
					continue
				}
				for _, kind := range strings.Fields(how) {
					kinds[kind] = true
					if !activity.Known(kind) {
						t.Errorf("%s: %s is no kind", name, kind)
					}
				}
			}
		}
	}
	for name := range accountable {
		if !found[name] {
			t.Errorf("%s does not exist", name)
		}
	}
	if got := slices.Sorted(maps.Keys(kinds)); len(got) != len(activity.Kinds) {
		t.Errorf("%d kinds are made, there are %d", len(got), len(activity.Kinds))
	}
}

// TestActorTravels: a service in another process notes the actor whom the gateway has authenticated.
func TestActorTravels(t *testing.T) {
	both(t, func(t *testing.T, b serviceSet) {
		up, err := b.users.SignUp(t.Context(), merchant.SignUpRequest{Username: "ada", Email: "ada@example.com",
			Password: "a quite good battery"}, nil)
		good(t, err)
		a := activity.Actor{Kind: activity.User, ID: up.User.ID, Session: "ses_1", Network: "192.0.2.0/24", Agent: "Firefox ü", Request: "req_1"}
		_, err = b.users.SetTimeZone(activity.With(t.Context(), a), up.Account.ID, "Europe/Berlin")
		good(t, err)
		good(t, b.users.Exported(t.Context(), up.Account.ID, "payments"))
		found, err := b.users.Activity(t.Context(), up.Account.ID, activity.Filter{}, 10)
		good(t, err)
		if len(found) != 3 {
			t.Fatalf("%+v", found)
		}
		for _, e := range found {
			want := activity.Actor{Kind: activity.System}
			switch e.Kind {
			case activity.TimeZoneChanged:
				want = a
			case activity.SignedUp:
				want = activity.Actor{Kind: activity.User, ID: up.User.ID}
			}
			if e.Actor != want {
				t.Errorf("%s by %+v, want %+v", e.Kind, e.Actor, want)
			}
		}
		_, err = b.users.Activity(t.Context(), up.Account.ID, activity.Filter{Kind: "nonsense"}, 10)
		is(t, err, fault.KindInvalid, "value_invalid", "kind")
	})
}
