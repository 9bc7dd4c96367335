package cli

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// TestInstallationRules checks that the operator's rules apply to payments of a running server,
// for an account without its own rules, until they are removed, and that errors are reported.
func TestInstallationRules(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := harness.StartOn(t, data, harness.FreeAddress(t))
	_, key := p.Merchant(t, "ada")
	l := key.Link(`"amount":"12.50","maxUses":null`)
	n := 0
	// The result of one more payment: its status and what decided.
	decided := func(email string) string {
		t.Helper()
		n++
		key.As(
			"",
		).Do(
			"POST",
			harness.TokenPath(t, l)+"/payments",
			fmt.Sprintf(
				`{"attempt":"attempt-%010d","payer":{"email":%q},"card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"739"}}`,
				n,
				email,
			),
		)
		last := harness.PaymentsOf(key, l)[0]
		risk, _ := last["risk"].(map[string]any)
		return fmt.Sprint(last["status"], " by ", risk["rule"])
	}
	becomes := func(email, want string) {
		t.Helper()
		await.Until(t, email+" "+want, func() bool { return decided(email) == want })
	}
	run := func(words string, args ...string) string {
		t.Helper()
		out, errs, status := harness.Command(t, append(append([]string{"fraud"}, args...), "--mode", "test", "--data", data)...)
		if status != 0 || !strings.Contains(out, words) {
			t.Fatalf("paylink fraud %s: status %d, want words %q, said %q %q", strings.Join(args, " "), status, words, out, errs)
		}
		return out
	}
	refused := func(words string, args ...string) {
		t.Helper()
		harness.Refused(t, words, append(append([]string{"fraud"}, args...), "--mode", "test", "--data", data)...)
	}
	if got := decided("eve@bad.example"); got != "succeeded by <nil>" {
		t.Fatalf("before any rule: %s", got)
	}

	made := run(
		"version 1 is on in test mode",
		"rules",
		"put",
		"--name",
		"No Eve",
		"--action",
		"block",
		"--when",
		`payer.email == "eve@bad.example"`,
		"--state",
		"on",
	)
	rule := regexp.MustCompile(`frl_\w+`).FindString(made)
	becomes("eve@bad.example", "declined by "+rule)
	if got := decided("ada@good.example"); got != "succeeded by <nil>" {
		t.Errorf("somebody else: %s", got)
	}
	seen := key.OK("GET", "/api/fraud/rules/"+rule, "")
	if seen["scope"] != "installation" || seen["updatedBy"] != nil {
		t.Errorf("the account sees %v", seen)
	}
	if a := key.Do("PUT", "/api/fraud/rules/"+rule, `{"state":"off"}`); a.Status != 404 {
		t.Errorf("an account changes the installation's rule: %d %s", a.Status, a.Body)
	}
	if out := run("default set", "rules", "list"); !strings.Contains(out, rule+"   1         block") {
		t.Errorf("rules list:\n%s", out)
	}
	run("version 2 is off", "rules", "put", "--id", rule, "--state", "off")
	becomes("eve@bad.example", "succeeded by <nil>")
	if out := run("No Eve", "rules", "versions", rule); !regexp.MustCompile(`\n2 +off .*\n1 +on `).MatchString(out) {
		t.Errorf("versions:\n%s", out)
	}
	run("is deleted", "rules", "delete", rule)
	run("deleted", "rules", "versions", rule)

	added := run(
		"@bad.example, action block",
		"lists",
		"add",
		"--kind",
		"email",
		"--value",
		"@BAD.example",
		"--action",
		"block",
		"--note",
		"testers",
		"--expires",
		"30d",
	)
	entry := regexp.MustCompile(`fle_\w+`).FindString(added)
	becomes("mallory@bad.example", "declined by "+entry)
	if out := run(entry, "lists", "list", "--kind", "email"); !strings.Contains(out, "testers") {
		t.Errorf("lists list:\n%s", out)
	}
	run("is deleted", "lists", "delete", entry)
	becomes("mallory@bad.example", "succeeded by <nil>")

	policy := func() string {
		got := key.OK("GET", "/api/fraud/policy", "")
		return fmt.Sprint(got["onTimeout"], " ", got["reviewSeconds"])
	}
	run("is allowed, and a held payment that was not reviewed is declined at the end of the hold", "policy", "show")
	run(
		"is blocked, and a held payment that was not reviewed is declined after 48h",
		"policy",
		"set",
		"--on-timeout",
		"block",
		"--review",
		"2d",
	)
	await.Until(t, "the account's policy is the installation's", func() bool { return policy() == "block 172800" })
	run("is blocked, and a held payment that was not reviewed is declined at the end", "policy", "set", "--review", "0")
	run("is allowed", "policy", "set", "--on-timeout", "allow")
	await.Until(t, "the policy is as it was", func() bool { return policy() == "allow 0" })
	key.OK("PUT", "/api/fraud/policy", `{"reviewSeconds":7200}`)
	run("is blocked", "policy", "set", "--on-timeout", "block")
	if got := policy(); got != "allow 7200" {
		t.Errorf("what the account said itself is overruled: %s", got)
	}
	refused("nothing to change", "policy", "set")
	refused("is not allow or block", "policy", "set", "--on-timeout", "wait")
	refused("--review", "policy", "set", "--review", "soon")
	refused("an hour to seven days", "policy", "set", "--review", "8d")

	refused("when: rule_condition_invalid: Line 1, column 9:", "rules", "put", "--name", "Broken", "--action", "block", "--when", "amount > ")
	refused("action: rule_action_invalid", "rules", "put", "--name", "Broken", "--action", "stop", "--when", "amount > 1.0")
	refused("name: rule_name_invalid", "rules", "put", "--action", "block", "--when", "amount > 1.0")
	refused("There is no such rule", "rules", "put", "--id", rule, "--state", "on")
	refused("There is no such rule", "rules", "delete", rule)
	refused(
		"can be turned on or off but not edited",
		"rules",
		"put",
		"--id",
		defaultRule(t, run("", "rules", "list")),
		"--when",
		"amount > 1.0",
	)
	refused("--expires", "lists", "add", "--kind", "bin", "--value", "400000", "--action", "block", "--expires", "soon")
	refused("kind must not be card", "lists", "add", "--kind", "card", "--value", "0123456789abcdef0123456789abcdef", "--action", "block")
	refused("There is no such list entry", "lists", "delete", entry)
	harness.Refused(t, "--mode", "fraud", "rules", "list", "--data", data, "--mode", "both")
}

// defaultRule returns a rule of the default set in the output of rules list.
func defaultRule(t *testing.T, list string) string {
	t.Helper()
	found := regexp.MustCompile(`(frl_\w+) .* default set `).FindStringSubmatch(list)
	if found == nil {
		t.Fatalf("no default set:\n%s", list)
	}
	return found[1]
}
