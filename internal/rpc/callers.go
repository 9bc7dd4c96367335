package rpc

import (
	"maps"
	"slices"
	"strings"
)

// GatewayService is the name of the gateway, which calls the others and is called by none.
const GatewayService = "gateway"

// What a service serves besides its procedures. The names cannot be those of procedures, which
// begin with a capital.
const (
	methodHealth = "health" // /healthz and /readyz, for every caller of the service
	methodPages  = "pages"  // the pages of an issuer, which the gateway forwards
)

// permits is the only table of who may call what: for each service its callers, and the methods
// that each of them may call. The arrows between services follow from it. Everything else is
// refused, and so is a method that is not in the table. SECURITY.md repeats it.
var permits = map[string]map[string][]string{
	UsersService: {GatewayService: strings.Fields(`GetIdempotency PutIdempotency
		SignUp SignIn Authenticate SignOut Me GetAccount SetMethods SetTimeZone Clock MoveClock
		Activity Exported CreateKey Keys GetKey RotateKey RevokeKey AuthenticateKey AuthenticateSecret
		Policy Sessions EndSession EndSessions ChangePassword RequestReset Reset SendConfirmation Confirm
		Security BeginTOTP ConfirmTOTP EndTOTP RenewRecovery
		BeginPasskey AddPasskey RenamePasskey RemovePasskey BeginPasskeySignIn SignInPasskey
		Invite Invitations WithdrawInvitation Invitation Users`)},
	LinksService: {GatewayService: strings.Fields(`GetIdempotency PutIdempotency Create Get List Cancel
		CreateForm GetForm ListForms UpdateForm ArchiveForm FormLink`)},
	VerifierService: {GatewayService: {"Open", "Verify", "Form"}},
	PaymentsService: {GatewayService: strings.Fields(`Get List Balances Events Moves Overview Search Seen`)},
	TransactionsService: {
		GatewayService: strings.Fields(`GetIdempotency PutIdempotency Submit ByAttempt Latest
			Capture Void Refund Review Mark Dispute Repair Receipt`),
		SimulatorService: {"Notice"},
	},
	NotifierService: {GatewayService: strings.Fields(`GetIdempotency PutIdempotency MoveClock
		Create Get List Update Delete Rotate Test Deliveries Delivery Redeliver
		RedeliverAll Redelivery Redeliveries CancelRedelivery
		Ready SendLink Preferences SetPreferences Subscription Unsubscribe Mails`)},
	FraudService: {
		GatewayService: strings.Fields(`GetIdempotency PutIdempotency Challenge Rows Row Related Figures
			Rules PutRule DeleteRule RuleVersions Lists PutListEntry DeleteListEntry Policy PutPolicy Backtest Models`),
		TransactionsService: {"Assess"},
	},
	SimulatorService: {
		GatewayService:      {methodPages},
		TransactionsService: strings.Fields(`Authorize Capture Refund Reverse Lookup`),
	},
}

// Calls returns the services that a service calls, sorted.
func Calls(caller string) (all []string) {
	for service, callers := range permits {
		if callers[caller] != nil {
			all = append(all, service)
		}
	}
	slices.Sort(all)
	return all
}

// Callers returns the services that call a service, sorted.
func Callers(service string) []string { return slices.Sorted(maps.Keys(permits[service])) }

// Methods returns what the caller may call of a service, in the order of the table.
func Methods(caller, service string) []string { return slices.Clone(permits[service][caller]) }

// permitted reports whether the caller may make a request of this path to the service.
func permitted(caller, service, path string) bool {
	methods := permits[service][caller]
	switch method := methodOf(service, path); method {
	case "":
		return false
	case methodHealth:
		return methods != nil
	default:
		return slices.Contains(methods, method)
	}
}

// methodOf returns what a path calls of a service, or "" for the procedure of another one.
func methodOf(service, path string) string {
	if path == "/healthz" || path == "/readyz" {
		return methodHealth
	}
	procedure, ok := strings.CutPrefix(path, "/paylink.")
	if !ok {
		return methodPages
	}
	named, method, _ := strings.Cut(procedure, "/")
	if named != service || method == methodHealth || method == methodPages {
		return ""
	}
	return method
}
