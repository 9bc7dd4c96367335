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
	Mode string `help:"Mode: test or live." enum:"test,live" default:"live" env:"-"`
}

type ruleCommands struct {
	List struct {
		inMode
	} `cmd:"" help:"List the installation's rules and the built-in ones, in order of evaluation."`
	Put struct {
		inMode
		ID     string `help:"The rule to change; omitted flags keep their values. Without it a new rule is created." name:"id" env:"-" placeholder:"ID"`
		Name   string `help:"Name of the rule." env:"-"`
		Action string `help:"Action: request_3ds, allow, block or review." env:"-"`
		When   string `help:"Condition in CEL, such as 'card.declined_1h >= 3'." env:"-" placeholder:"CONDITION"`
		State  string `help:"State: on, shadow or off; a new rule is in shadow." env:"-"`
	} `cmd:"" help:"Create or change a rule; of a built-in rule only the state."`
	Versions struct {
		inMode
		ID string `arg:"" help:"Id of the rule."`
	} `cmd:"" help:"List the versions of a rule, newest first."`
	Delete struct {
		inMode
		ID string `arg:"" help:"Id of the rule."`
	} `cmd:"" help:"Delete a rule; its versions are kept."`
}

type fraudListCommands struct {
	List struct {
		inMode
		Kind string `help:"Only this kind: bin, email, address or country." env:"-"`
	} `cmd:"" help:"List the entries of the installation's lists, newest first."`
	Add struct {
		inMode
		Kind    string `required:"" help:"Kind: bin, email, address or country." env:"-"`
		Value   string `required:"" help:"Value: 6 digits; an email address or @domain; an IP address or its /24 or /48; a two-letter country code." env:"-"`
		Action  string `required:"" help:"Action: allow, block or review." env:"-"`
		Note    string `help:"Reason for the entry." env:"-"`
		Expires string `help:"How long the entry lasts, such as 24h or 30d; permanent by default." env:"-" placeholder:"TIME"`
	} `cmd:"" help:"Add an entry to a list."`
	Delete struct {
		inMode
		ID string `arg:"" help:"Id of the entry."`
	} `cmd:"" help:"Delete an entry."`
}

type policyCommands struct {
	Show struct {
		inMode
	} `cmd:"" help:"Show the installation's policy."`
	Set struct {
		inMode
		OnTimeout string `help:"Action if an attempt was not assessed in time: allow or block. An omitted flag keeps its value." env:"-"`
		Review    string `help:"When to decline a held payment that was not reviewed: after 1h to 7d, or 0 for the end of the authorization's hold." env:"-" placeholder:"TIME"`
	} `cmd:"" help:"Change the installation's policy, for accounts without their own."`
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
				return errors.New("nothing to change: give --on-timeout or --review")
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
		return app.PutRule(
			ctx,
			p.config(),
			rulebook.Rule{ID: p.ID, Mode: p.Mode, Name: p.Name, Action: payment.Action(p.Action), When: p.When, State: p.State},
			out,
		)
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
		return app.AddEntry(
			ctx,
			a.config(),
			rulebook.Entry{Mode: a.Mode, Kind: rulebook.Kind(a.Kind), Action: payment.Action(a.Action), Value: a.Value, Note: a.Note},
			life,
			out,
		)
	case "fraud lists delete <id>":
		return app.DeleteEntry(ctx, l.Delete.config(), l.Delete.Mode, l.Delete.ID, out)
	}
	return fmt.Errorf("unknown command %q", command)
}
