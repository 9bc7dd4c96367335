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

// The installation's rules, lists and policy, from the operator's command line. They lie in
// the store; every process reads what changed within two seconds.
const (
	installation = ""         // the account that stands for everybody
	operator     = "operator" // who changed it; the store knows no people of the operator
	inForce      = "every process knows within two seconds"
)

func (c Config) openRules(ctx context.Context, work func(rulebook.Service) error) error {
	return c.openLab(ctx, false, io.Discard, func(l lab) error {
		return work(rulebook.New(rulebook.Config{Store: l.store, Now: time.Now, Log: slog.New(slog.DiscardHandler)}))
	})
}

// ListRules shows the installation's rules and the default set, in the order in which
// they are asked.
func ListRules(ctx context.Context, cfg Config, mode string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		all, err := book.Rules(ctx, installation, mode)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		_, _ = fmt.Fprintln(w, "rule\tversion\taction\tstate\twhose\tname\tcondition")
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

// oneLine is a condition or a note as a cell of a table.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)), " ")
}

// PutRule makes a rule (ID "") or changes one; what is left empty of it then stays.
func PutRule(ctx context.Context, cfg Config, r rulebook.Rule, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
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

// merged is a rule's next version, of which the last one that was read is replaced.
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

// RuleVersions shows all that a rule of the installation ever was, the newest first.
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

func stamp(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format(time.RFC3339)
}

// DeleteRule removes a rule of the installation; its versions stay.
func DeleteRule(ctx context.Context, cfg Config, mode, id string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		if err := book.DeleteRule(ctx, installation, mode, id); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "rule %s is deleted; %s\n", id, inForce)
		return err
	})
}

// entriesPage is how many entries of lists are read at once.
const entriesPage = 100

// ListEntries shows what is on the installation's lists, the newest first.
func ListEntries(ctx context.Context, cfg Config, mode, kind string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		_, _ = fmt.Fprintln(w, "entry\tkind\taction\tvalue\tends\tcreated\tnote")
		for before := ""; ; {
			some, err := book.Lists(ctx, installation, mode, rulebook.Kind(kind), before, entriesPage)
			if err != nil {
				return err
			}
			for _, e := range some {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.Kind, e.Action, e.Value, stamp(e.ExpiresAt), stamp(e.CreatedAt), oneLine(e.Note))
				before = e.ID
			}
			if len(some) < entriesPage {
				return w.Flush()
			}
		}
	})
}

// AddEntry puts a value on a list of the installation; life 0: without end.
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
		_, err = fmt.Fprintf(out, "entry %s: %s %s is to %s in %s mode; %s\n", e.ID, e.Kind, e.Value, e.Action, e.Mode, inForce)
		return err
	})
}

// DeleteEntry takes a value off a list of the installation.
func DeleteEntry(ctx context.Context, cfg Config, mode, id string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		if err := book.DeleteListEntry(ctx, installation, mode, id); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "entry %s is off its list; %s\n", id, inForce)
		return err
	})
}

// PolicyChange is what an operator says of the installation's policy; what is empty or
// nil stays.
type PolicyChange struct {
	OnTimeout string // allow or block
	ReviewFor *time.Duration
}

// ShowPolicy tells what holds where no rule decides.
func ShowPolicy(ctx context.Context, cfg Config, mode string, out io.Writer) error {
	return cfg.openRules(ctx, func(book rulebook.Service) error {
		p, err := book.Policy(ctx, installation, mode)
		if err != nil {
			return err
		}
		return tellPolicy(out, mode, p, "accounts may say otherwise for themselves")
	})
}

// SetPolicy changes the installation's policy.
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
			return fmt.Errorf("--on-timeout: %q is neither allow nor block", change.OnTimeout)
		}
		if change.ReviewFor != nil {
			p.ReviewFor = *change.ReviewFor
		}
		if p, err = book.PutPolicy(ctx, installation, mode, p); err != nil {
			return err
		}
		return tellPolicy(out, mode, p, inForce)
	})
}

func tellPolicy(out io.Writer, mode string, p rulebook.Policy, end string) error {
	late, review := "blocked", "at the end of the hold"
	if p.FailOpen {
		late = "allowed"
	}
	if p.ReviewFor != 0 {
		review = "after " + p.ReviewFor.String()
	}
	_, err := fmt.Fprintf(out, "in %s mode an attempt that nobody assessed in time is %s, and a held payment that nobody reviewed is declined %s; %s\n", mode, late, review, end)
	return err
}
