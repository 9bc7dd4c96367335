package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/paylink/paylink/internal/app"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/payment"
)

// The installation's rules, lists and policy. Their arguments are not settings: neither the
// environment nor the configuration file sets them.

type inMode struct {
	stores
	Mode string `help:"test or live: each has its own." enum:"test,live" default:"live" env:"-"`
}

type ruleCommands struct {
	List struct {
		inMode
	} `cmd:"" help:"List the installation's rules and the default set, in the order in which they are asked."`
	Put struct {
		inMode
		ID     string `help:"The rule to change; what is left out stays. Without it a rule is made." name:"id" env:"-" placeholder:"ID"`
		Name   string `help:"What it is called." env:"-"`
		Action string `help:"request_3ds, allow, block or review." env:"-"`
		When   string `help:"The condition in CEL, such as 'card.declined_1h >= 3'." env:"-" placeholder:"CONDITION"`
		State  string `help:"on, shadow or off; a new rule is in shadow." env:"-"`
	} `cmd:"" help:"Make or change a rule; of the default set only the state."`
	Versions struct {
		inMode
		ID string `arg:"" help:"The rule."`
	} `cmd:"" help:"Show all that a rule ever was, the newest first."`
	Delete struct {
		inMode
		ID string `arg:"" help:"The rule."`
	} `cmd:"" help:"Delete a rule; its versions stay."`
}

type fraudListCommands struct {
	List struct {
		inMode
		Kind string `help:"Of this kind alone: bin, email, address or country." env:"-"`
	} `cmd:"" help:"List what is on the installation's lists, the newest first."`
	Add struct {
		inMode
		Kind    string `required:"" help:"bin, email, address or country." env:"-"`
		Value   string `required:"" help:"6 digits; an address or @domain; an IP address or its /24 or /48; two letters." env:"-"`
		Action  string `required:"" help:"allow, block or review." env:"-"`
		Note    string `help:"Why it is there." env:"-"`
		Expires string `help:"How long it stays, such as 24h or 30d; without end by default." env:"-" placeholder:"TIME"`
	} `cmd:"" help:"Put a value on a list."`
	Delete struct {
		inMode
		ID string `arg:"" help:"The entry."`
	} `cmd:"" help:"Take a value off its list."`
}

type policyCommands struct {
	Show struct {
		inMode
	} `cmd:"" help:"Show the installation's policy."`
	Set struct {
		inMode
		OnTimeout string `help:"What an attempt gets that nobody assessed in time: allow or block. What is left out stays." env:"-"`
		Review    string `help:"After how long a held payment that nobody reviewed is declined, 1h to 7d; 0: at the end of the authorisation's hold." env:"-" placeholder:"TIME"`
	} `cmd:"" help:"Change it: it holds for every account without one of its own."`
}

func (p policyCommands) dispatch(ctx context.Context, command string, out io.Writer) error {
	switch command {
	case "fraud policy show":
		return app.ShowPolicy(ctx, p.Show.config(), p.Show.Mode, out)
	case "fraud policy set":
		change := app.PolicyChange{OnTimeout: p.Set.OnTimeout}
		switch p.Set.Review {
		case "":
			if change.OnTimeout == "" {
				return errors.New("nothing is to change: say --on-timeout or --review")
			}
		case "0":
			change.ReviewFor = new(time.Duration)
		default:
			span, err := parseSpan(p.Set.Review)
			if err != nil {
				return fmt.Errorf("--review: %w", err)
			}
			change.ReviewFor = &span
		}
		return app.SetPolicy(ctx, p.Set.config(), p.Set.Mode, change, out)
	}
	return fmt.Errorf("unknown command %q", command)
}

func (r ruleCommands) dispatch(ctx context.Context, command string, out io.Writer) error {
	switch command {
	case "fraud rules list":
		return app.ListRules(ctx, r.List.config(), r.List.Mode, out)
	case "fraud rules put":
		p := r.Put
		return app.PutRule(ctx, p.config(), rulebook.Rule{ID: p.ID, Mode: p.Mode, Name: p.Name, Action: payment.Action(p.Action), When: p.When, State: p.State}, out)
	case "fraud rules versions <id>":
		return app.RuleVersions(ctx, r.Versions.config(), r.Versions.Mode, r.Versions.ID, out)
	case "fraud rules delete <id>":
		return app.DeleteRule(ctx, r.Delete.config(), r.Delete.Mode, r.Delete.ID, out)
	}
	return fmt.Errorf("unknown command %q", command)
}

func (l fraudListCommands) dispatch(ctx context.Context, command string, out io.Writer) error {
	switch command {
	case "fraud lists list":
		return app.ListEntries(ctx, l.List.config(), l.List.Mode, l.List.Kind, out)
	case "fraud lists add":
		a, life := l.Add, time.Duration(0)
		if a.Expires != "" {
			var err error
			if life, err = parseSpan(a.Expires); err != nil {
				return fmt.Errorf("--expires: %w", err)
			}
		}
		return app.AddEntry(ctx, a.config(), rulebook.Entry{Mode: a.Mode, Kind: rulebook.Kind(a.Kind), Action: payment.Action(a.Action), Value: a.Value, Note: a.Note}, life, out)
	case "fraud lists delete <id>":
		return app.DeleteEntry(ctx, l.Delete.config(), l.Delete.Mode, l.Delete.ID, out)
	}
	return fmt.Errorf("unknown command %q", command)
}
