package main_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
)

// impersonal lists the fields of a stored payment that contain nothing about the payer or the
// card. Every other field must be in SECURITY.md.
var impersonal = []string{
	"id", "account", "mode", "link", "attempt", "issuer", "amount", "capture", "latePolicy", "linkEndsAt", "linkUses", "createdAt",
	"updatedAt",
	"status", "voidFrom", "try", "reviewReason", "captures", "authorizedMinor", "capturedMinor", "refundedMinor", "useReserved",
	"disputes", "capturing", "refunds", "log", "work", "lastChange",
	"risk.action", "risk.challenge", "risk.why", "risk.rule", "risk.version", "risk.shadow", "risk.score", "risk.basis", "risk.model",
	"risk.shadowModel", "risk.shadowScore", "risk.reviewSeconds", "risk.review", "risk.reviewedAt", "risk.reviewedBy",
	"risk.label", "risk.labelledAt", "risk.labelledBy",
}

// TestSecurityDocument compares SECURITY.md with the code: its table of stored data about the
// payer and the card with the fields of a stored payment, its paragraph about keys with the
// purposes of the key ring, and its table of callers with the one that the services enforce.
func TestSecurityDocument(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	document := string(raw)

	t.Run("payer and card", func(t *testing.T) {
		_, table, _ := strings.Cut(document, "| of the payer and the card | how |")
		table, _, _ = strings.Cut(table, "\n\n")
		named := names(table)
		stored := jsonNames(reflect.TypeFor[payment.Payment](), "")
		for _, field := range stored {
			if slices.Contains(named, field) == slices.Contains(impersonal, field) {
				t.Errorf("the stored field %s must be either in SECURITY.md's table or in the list of impersonal fields", field)
			}
		}
		for _, field := range append(slices.Clone(impersonal), named...) {
			if strings.Contains(field, "-mac") {
				continue // a key, not a field
			}
			if !slices.Contains(stored, field) {
				t.Errorf("%s is no field of a stored payment", field)
			}
		}
	})

	t.Run("callers", func(t *testing.T) {
		_, table, _ := strings.Cut(document, "| called service | caller | methods |\n|---|---|---|\n")
		table, _, _ = strings.Cut(table, "\n\n")
		var want []string
		for _, caller := range []string{"gateway", "simulator", "transactions"} {
			for _, service := range rpc.Calls(caller) {
				want = append(want, "| `"+service+"` | `"+caller+"` | `"+strings.Join(rpc.Methods(caller, service), "` `")+"` |")
			}
		}
		have := strings.Split(table, "\n")
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("SECURITY.md says\n%s\nthe services enforce\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
		}
	})

	t.Run("keys", func(t *testing.T) {
		_, section, _ := strings.Cut(document, "\n## Keys\n\n")
		sentence, _, _ := strings.Cut(section, " A key does one thing.")
		var purposes []string
		for _, p := range keyring.Purposes {
			purposes = append(purposes, string(p))
		}
		named := names(sentence)
		slices.Sort(purposes)
		slices.Sort(named)
		if !slices.Equal(named, purposes) {
			t.Errorf("SECURITY.md names the keys %v, the key ring has %v", named, purposes)
		}
		count := map[int]string{12: "Twelve", 13: "Thirteen", 14: "Fourteen", 15: "Fifteen", 16: "Sixteen"}[len(purposes)]
		if !strings.HasPrefix(sentence, count+" purposes") {
			t.Errorf("the key ring has %d purposes; SECURITY.md says %.20q", len(purposes), sentence)
		}
	})
}

// names returns the words in code font, without duplicates.
func names(text string) []string {
	found := map[string]bool{}
	for _, match := range regexp.MustCompile("`([a-zA-Z0-9.-]+)`").FindAllStringSubmatch(text, -1) {
		found[match[1]] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// jsonNames returns the names under which a struct's fields are stored. The fields of
// Risk count one by one; every other struct counts as one field.
func jsonNames(of reflect.Type, prefix string) (all []string) {
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case field.Type == reflect.TypeFor[payment.Risk]():
			all = append(all, jsonNames(field.Type, name+".")...)
		default:
			all = append(all, prefix+name)
		}
	}
	return all
}
