package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/paylink/paylink/internal/fraud/rulebook"
)

// The installation's rules, lists and policy, from the operator's command line. They are in the
// store; every process reads changes within two seconds.
const (
	installation = ""         // the account of rules for all accounts
	operator     = "operator" // who changed it: the store knows no users of the operator
	inForce      = "every process applies this within two seconds"
)

// openRules runs work on the rules of the store. The command is not the service: running processes
// read its changes from the store.
func (c Config) openRules(ctx context.Context, work func(rulebook.Service) error) error {
	return c.openLab(ctx, false, io.Discard, func(l lab) error {
		return work(rulebook.New(rulebook.Config{Store: l.store, Now: time.Now, Log: slog.New(slog.DiscardHandler)}))
	})
}

// ListRules prints the installation's rules and the default set of a mode, in order of evaluation.
func ListRules(ctx context.Context, cfg Config, mode string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		all, err := book.Rules(ctx, installation, mode)
		if err != nil {
			return err
		}

		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		_, _ = fmt.Fprintln(w, "rule\tversion\taction\tstate\towner\tname\tcondition")
		for _, r := range all {
			whose := "installation"
			if r.Builtin {
				whose = "default set"
			}
			_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Version, r.Action, r.State, whose, r.Name, oneLine(r.When))
		}
		return w.Flush()
	})
}

// oneLine returns a condition or a note for a cell of a table, without line breaks and control
// characters.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)), " ")
}

// PutRule creates a rule (empty ID) or changes one; empty fields then stay unchanged. It prints the
// rule's id and new version. If another change came first, it fails.
func PutRule(ctx context.Context, cfg Config, r rulebook.Rule, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		// The store compares the version, so a change between this read and the write is refused.
		if r.ID != "" {
			all, err := book.Rules(ctx, installation, r.Mode)
			if err != nil {
				return err
			}
			for _, was := range all {
				if was.ID == r.ID {
					r = merged(r, was)
				}
			}
		}

		r.Account = installation
		r, err := book.PutRule(ctx, r, operator, nil)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "rule %s version %d is %s in %s mode; %s\n", r.ID, r.Version, r.State, r.Mode, inForce)
		return err
	})
}

// merged returns a rule's next version: was, with the fields of r that are set. Its version is the
// one read, which the store compares.
func merged(r, was rulebook.Rule) rulebook.Rule {
	next := was
	if r.Name != "" {
		next.Name = r.Name
	}
	if r.Action != "" {
		next.Action = r.Action
	}
	if r.When != "" {
		next.When = r.When
	}
	if r.State != "" {
		next.State = r.State
	}
	return next
}

// RuleVersions prints all versions of a rule of the installation, newest first, also those of a
// deleted rule.
func RuleVersions(ctx context.Context, cfg Config, mode, id string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		all, err := book.RuleVersions(ctx, installation, mode, id)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		_, _ = fmt.Fprintln(w, "version\tstate\taction\tchanged\tname\tcondition")
		for _, r := range all {
			_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Version, r.State, r.Action, stamp(r.UpdatedAt), r.Name, oneLine(r.When))
		}
		return w.Flush()
	})
}

// stamp returns a time for a table, or a dash for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format(time.RFC3339)
}

// DeleteRule removes a rule of the installation. Its versions stay.
// DeleteRule removes a rule of the installation. Its versions stay.
func DeleteRule(ctx context.Context, cfg Config, mode, id string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		if err := book.DeleteRule(ctx, installation, mode, id); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "rule %s is deleted; %s\n", id, inForce)
		return err
	})
}

// entriesPage is how many list entries are read at once.
const entriesPage = 100

// ListEntries prints the entries of the installation's lists, newest first, page by page. The empty
// kind means all.
func ListEntries(ctx context.Context, cfg Config, mode, kind string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		_, _ = fmt.Fprintln(w, "entry\tkind\taction\tvalue\tends\tcreated\tnote")
		// A short page is the last one.
		for before := ""; ; {
			some, err := book.Lists(ctx, installation, mode, rulebook.Kind(kind), before, entriesPage)
			if err != nil {
				return err
			}
			for _, e := range some {
				_, _ = fmt.Fprintf(
					w,
					"%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
					e.ID,
					e.Kind,
					e.Action,
					e.Value,
					stamp(e.ExpiresAt),
					stamp(e.CreatedAt),
					oneLine(e.Note),
				)
				before = e.ID
			}
			if len(some) < entriesPage {
				return w.Flush()
			}
		}
	})
}

// AddEntry adds a value to a list of the installation. A life of 0 means without end. A value that
// the list already has is an error.
func AddEntry(ctx context.Context, cfg Config, e rulebook.Entry, life time.Duration, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		if life > 0 {
			e.ExpiresAt = time.Now().Add(life).UTC().Truncate(time.Microsecond)
		}

		e.Account = installation
		e, err := book.PutListEntry(ctx, e, operator, nil)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "entry %s: %s %s, action %s, in %s mode; %s\n", e.ID, e.Kind, e.Value, e.Action, e.Mode, inForce)
		return err
	})
}

// DeleteEntry removes a value from a list of the installation.
func DeleteEntry(ctx context.Context, cfg Config, mode, id string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		if err := book.DeleteListEntry(ctx, installation, mode, id); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "entry %s is deleted; %s\n", id, inForce)
		return err
	})
}

// PolicyChange is an operator's change to the installation's policy. Empty and nil fields stay
// unchanged.
// PolicyChange is an operator's change to the installation's policy. Empty and nil fields stay
// unchanged.
type PolicyChange struct {
	OnTimeout string // allow or block
	ReviewFor *time.Duration
}

// ShowPolicy prints what applies in a mode where no rule decides and the account has no policy of
// its own.
func ShowPolicy(ctx context.Context, cfg Config, mode string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		p, err := book.Policy(ctx, installation, mode)
		if err != nil {
			return err
		}
		return printPolicy(out, mode, p, "accounts may have their own policy")
	})
}

// SetPolicy changes the installation's policy for a mode and prints the result. Two operators at
// once may overwrite each other's change.
func SetPolicy(ctx context.Context, cfg Config, mode string, change PolicyChange, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		p, err := book.Policy(ctx, installation, mode)
		if err != nil {
			return err
		}

		switch change.OnTimeout {
		case "":
		case "allow", "block":
			p.FailOpen = change.OnTimeout == "allow"
		default:
			return fmt.Errorf("--on-timeout: %q is not allow or block", change.OnTimeout)
		}

		if change.ReviewFor != nil {
			p.ReviewFor = *change.ReviewFor
		}
		if p, err = book.PutPolicy(ctx, installation, mode, p); err != nil {
			return err
		}
		return printPolicy(out, mode, p, inForce)
	})
}

// printPolicy prints a policy as a sentence, followed by end.
func printPolicy(out io.Writer, mode string, p rulebook.Policy, end string) error {
	late, review := "blocked", "at the end of the hold"
	if p.FailOpen {
		late = "allowed"
	}
	if p.ReviewFor != 0 {
		review = "after " + p.ReviewFor.String()
	}
	_, err := fmt.Fprintf(
		out,
		"in %s mode an attempt that was not assessed in time is %s, and a held payment that was not reviewed is declined %s; %s\n",
		mode,
		late,
		review,
		end,
	)
	return err
}
