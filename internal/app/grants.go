package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/paylink/paylink/internal/postgres"
)

// Rights on a table, in the notation of the table below.
var rights = map[rune]string{'r': "SELECT", 'a': "INSERT", 'w': "UPDATE", 'd': "DELETE"}

// grantsToAll are what every service with a store needs: the schema's version, the keys that
// its data needs, the base of the feed's positions with the last position, and the test clocks.
const grantsToAll = "goose_db_version:r needed_keys:r feed:rw events(position):r test_clocks:r"

// grants is the table of what the database role of each service may do with which tables: r
// selects, a inserts, w updates, d deletes. A service can do nothing with any other table.
// docs/operate/postgresql.md explains how an operator applies it.
var grants = map[string]string{
	"users": `accounts:raw users:raw logins:ra api_keys:raw sessions:rawd guards:raw guesses:rawd tokens:rawd test_clocks:raw
		mails:raw idempotency:ra needed_keys:a checkpoints:raw activity:rawd`,
	"links":    `needed_keys:a links:raw forms:raw events:a event_seqs:raw idempotency:ra checkpoints:raw`,
	"verifier": `links:r forms:r`,
	"payments": `payments:r events:r balances:raw checkpoints:raw set_aside:rawd
		report_anchor:rawd report_declines:rawd report_links:rawd report_owners:rawd report_payments:rawd report_sums:rawd
		report_terms:rawd`,
	"transactions": `activity:a needed_keys:a payments:raw links:rw events:a event_seqs:raw idempotency:ra checkpoints:raw`,
	"notifier": `webhook_endpoints:rawd webhook_deliveries:rawd webhook_redeliveries:rawd mails:rawd mail_preferences:rawd
		mail_refusals:rawd users(id,account,email,confirmed_at):r activity:a accounts:r payments:r links:r events:ra event_seqs:raw
		checkpoints:raw set_aside:rawd
		relayed:raw relay_checkpoints:rawd test_clocks:rw idempotency:ra needed_keys:a
		river_job:rawd river_leader:rawd river_queue:rawd river_notification:rawd
		river_migration:r`,
	"fraud": `fraud_books:raw fraud_list_entries:rawd fraud_policies:raw fraud_revision:rw fraud_rule_versions:ra fraud_rules:rawd
		fraud_models:r activity:a events:r checkpoints:raw set_aside:rawd payments:r links:r idempotency:ra needed_keys:a
		analytics_days:rawd analytics_disputes:rawd analytics_links:rawd analytics_owners:rawd analytics_payments:rawd
		analytics_refunds:rawd analytics_rules:rawd analytics_scores:rawd analytics_shield:rawd analytics_state:rawd`,
}

// sequences are those that a service draws numbers from.
var sequences = map[string][]string{"notifier": {"river_job_id_seq", "river_notification_id_seq"}}

// rolePrefix is what the name of a service's role may begin with.
var rolePrefix = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,40}$`)

// grantsFor returns the SQL that gives the role of each service its rights, and takes away all
// others. A role that does not exist is left out. With links and payments in a table elsewhere,
// services that keep nothing in the database get no right at all.
func (c Config) grantsFor(prefix string) (string, error) {
	if !rolePrefix.MatchString(prefix) {
		return "", fmt.Errorf("--roles %q: want the beginning of the roles' names, such as paylink_", prefix)
	}
	var out strings.Builder
	for _, service := range slices.Sorted(maps.Keys(grants)) {
		role := prefix + service
		fmt.Fprintf(&out, "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '%s') THEN\n", role)
		fmt.Fprintf(&out, "  EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %%I FROM %s', current_schema());\n", role)
		fmt.Fprintf(&out, "  EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %%I FROM %s', current_schema());\n", role)
		if c.PaymentsStore == "" || targetSpecs[service].sql {
			fmt.Fprintf(&out, "  EXECUTE format('GRANT USAGE ON SCHEMA %%I TO %s', current_schema());\n", role)
			for _, g := range strings.Fields(grantsToAll + " " + grants[service]) {
				table, may, _ := strings.Cut(g, ":")
				fmt.Fprintf(&out, "  GRANT %s TO %s;\n", onTable(table, may), role)
			}
			for _, s := range sequences[service] {
				fmt.Fprintf(&out, "  GRANT USAGE ON SEQUENCE %s TO %s;\n", s, role)
			}
		}
		out.WriteString("END IF; END $$;\n")
	}
	return out.String(), nil
}

// onTable returns the rights on a table, or on the columns that it names in parentheses.
func onTable(table, may string) string {
	table, columns, some := strings.Cut(table, "(")
	if some {
		columns = " (" + columns
	}
	var words []string
	for _, r := range may {
		words = append(words, rights[r]+columns)
	}
	return strings.Join(words, ", ") + " ON " + table
}

// PrintGrants prints the SQL that gives the role PREFIX+SERVICE of each service its rights. The
// owner of the tables runs it after each migration.
func PrintGrants(cfg Config, prefix string, out io.Writer) error {
	text, err := cfg.grantsFor(prefix)
	if err == nil {
		_, err = io.WriteString(out, text)
	}
	return err
}

// applyGrants runs the statements that PrintGrants prints.
func (c Config) applyGrants(ctx context.Context, prefix string, out io.Writer) error {
	text, err := c.grantsFor(prefix)
	if err != nil {
		return err
	}
	if !postgres.Is(c.Store) {
		return errors.New("--roles: only PostgreSQL has roles")
	}
	if err := postgres.Run(ctx, c.Store, text); err != nil {
		return fmt.Errorf("grant the services' roles their rights on %s: %w", c.storeName(), err)
	}
	_, err = fmt.Fprintf(out, "the roles %sSERVICE have the rights of this version\n", prefix)
	return err
}
