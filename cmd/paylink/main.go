// Command paylink is the only binary: the server and the tools to operate it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/paylink/paylink/internal/app"
	"github.com/paylink/paylink/internal/progress"
)

// version is set by the linker.
var version = "dev"

// stores are the flags for the location of the data.
type stores struct {
	Data          string `help:"Folder of the data." default:"./data" type:"path"`
	Store         string `help:"Where everything is kept: sqlite:PATH, under the data folder by default, or postgres://…."`
	PaymentsStore string `help:"Where links and payments are kept, when not in the store."`
	KeysDir       string `help:"Folder of the keys; keys in the data folder by default." name:"keys" type:"path"`
}

type serving struct {
	stores
	Target               []string          `help:"Boxes to run: all, or some of gateway, users, links, verifier, payments, transactions, notifier, fraud, simulator." default:"all"`
	Listen               string            `help:"Address of the public listener." default:"127.0.0.1:8080"`
	AdminListen          string            `help:"Address of health and metrics; port 0 takes a free one and logs it." default:"127.0.0.1:0"`
	PublicURL            string            `help:"URL under which payers reach us; the listener's by default." name:"public-url"`
	HSTS                 time.Duration     `help:"How long browsers use https alone after a visit, if the public URL is https: up to 17520h, or 0 for no such header." name:"hsts" default:"8760h"`
	InternalListen       string            `help:"Split: address on which the boxes of this process are served to the others."`
	InternalSecretFile   string            `help:"Split: file of the secrets between services, one a line; the first is used, all are accepted." type:"path"`
	InternalTLS          string            `help:"Split: folder with tls.crt, tls.key and ca.crt for mutual TLS between services." name:"internal-tls" type:"path"`
	Service              map[string]string `help:"Split: where another service is, NAME=URL[,URL…]; may be repeated." mapsep:";" placeholder:"NAME=URL"`
	Demo                 bool              `help:"Make a demo account, an API key and a link, and print them."`
	AllowPrivateWebhooks bool              `help:"Development: let webhooks reach private addresses, and plain http."`
	SignUp               string            `help:"Who may sign up: open, invitation (who was invited) or closed (nobody)." default:"open"`
	MailURL              string            `help:"Mail server: smtp://USER:PASSWORD@HOST:587 (STARTTLS), smtps://…, or smtp://HOST:25?tls=off for a relay beside us; without it no mail is sent." name:"mail-url"`
	MailFrom             string            `help:"In whose name mails are sent, such as 'Payments <pay@shop.example>'."`
	Limit                []string          `help:"How often somebody may ask: NAME=COUNT/s, /m, /h or /d, with ,BURST after it, or NAME=off; may be repeated. Names: address, sign-in, sign-up, pay, link, key, account." sep:"none"`
	LimitStore           string            `help:"redis://HOST:PORT/DATABASE, where several gateways count together; each counts for itself by default."`
	TrustedProxies       []string          `help:"Networks of the proxies before us, whose X-Forwarded-For is believed, such as 10.0.0.0/8."`
	CountryHeader        string            `help:"Header in which those proxies say the country of the payer's address, such as CF-IPCountry." placeholder:"NAME"`
	Lake                 string            `help:"Where the change feed is written as Parquet, for engines of your own: a folder, or s3://BUCKET/PREFIX; nowhere by default."`
	LakeAge              time.Duration     `help:"How old an event may be before it is written there." default:"1m"`
	Fraud                string            `help:"Look at attempts to pay before the issuer is asked: on or off." enum:"on,off" default:"on"`
	FraudBudget          time.Duration     `help:"How long that may take before the account's policy decides: 1ms to 1s." default:"25ms"`
	Shield               []string          `help:"When a link is under attack by card testers: off, or NAME=NUMBER; may be repeated. Names: declines, cards, ratio, spread, bin, address, card, waiting, crowd, bits, proved, unproved, calm, window." sep:"none"`
	LogLevel             string            `help:"debug, info, warn or error." default:"info"`
}

func (s serving) config() app.Config {
	c := app.Config{Targets: s.Target, DataDir: s.Data, KeysDir: s.KeysDir, Listen: s.Listen, AdminListen: s.AdminListen, PublicURL: s.PublicURL, HSTS: s.HSTS,
		Store: s.Store, PaymentsStore: s.PaymentsStore, InternalListen: s.InternalListen, InternalSecretFile: s.InternalSecretFile,
		InternalTLS: s.InternalTLS, Demo: s.Demo, AllowPrivateWebhooks: s.AllowPrivateWebhooks, SignUp: s.SignUp, LogLevel: s.LogLevel,
		MailURL: s.MailURL, MailFrom: s.MailFrom, Limits: s.Limit, LimitStore: s.LimitStore, TrustedProxies: s.TrustedProxies, CountryHeader: s.CountryHeader, Shield: s.Shield,
		Lake: s.Lake, LakeAge: s.LakeAge, FraudOff: s.Fraud == "off", FraudBudget: s.FraudBudget}
	for name, urls := range s.Service {
		if c.Services == nil {
			c.Services = map[string][]string{}
		}
		c.Services[name] = strings.Split(urls, ",")
	}
	return c
}

func (s stores) config() app.Config {
	return app.Config{Targets: []string{"all"}, DataDir: s.Data, KeysDir: s.KeysDir, Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Store: s.Store, PaymentsStore: s.PaymentsStore}
}

type commands struct {
	Config configFile `help:"JSON file whose members are flag names, with hyphens as underscores." type:"path"`

	Serve       serving  `cmd:"" help:"Run the server."`
	CheckConfig serving  `cmd:"" help:"Say what is wrong with the configuration."`
	Migrate     stores   `cmd:"" help:"Bring the store to this version's schema."`
	Aside       aside    `cmd:"" help:"Name what cannot be worked on and was set aside, also while the server runs."`
	Verify      long     `cmd:"" help:"Check every invariant on the data, also while the server runs."`
	Backup      backup   `cmd:"" help:"Copy the data into a new folder, also while the server runs."`
	Export      export   `cmd:"" help:"Write everything that the store holds into a new file, to move it into another store."`
	Import      imports  `cmd:"" help:"Fill an empty store from such a file."`
	Keys        keys     `cmd:"" help:"The keyring."`
	Link        links    `cmd:"" help:"Payment links."`
	Receipt     receipts `cmd:"" help:"Receipts."`
	Reports     reports  `cmd:"" help:"What people look at: figures and searches."`
	Lake        lakes    `cmd:"" help:"The files that engines of your own read."`
	Fraud       frauds   `cmd:"" help:"What stands against fraud: what is learned, the installation's rules and lists."`
	Invite      invite   `cmd:"" help:"Invite somebody to sign up with an account of their own."`
	Probe       probe    `cmd:"" help:"Ask a health address: status 0 if it is well. For containers, which have no shell."`
	Version     struct{} `cmd:"" help:"Print the version."`

	remoteCommands
}

// remoteCommands call a server's API.
type remoteCommands struct {
	Login    login           `cmd:"" help:"Save the server and key that the commands below use."`
	Links    linkCommands    `cmd:"" help:"Links, over the API."`
	Payments paymentCommands `cmd:"" help:"Payments, over the API."`
	Events   eventCommands   `cmd:"" help:"Events, over the API."`
	Listen   listen          `cmd:"" help:"Follow events as they happen, and forward them to a local URL."`
	Trigger  trigger         `cmd:"" help:"Make an event happen in test mode."`
	Clock    clockCommands   `cmd:"" help:"The test clock: time in test mode, moved forward."`
	Webhooks webhookCommands `cmd:"" help:"Webhook endpoints, over the API."`
}

// aside holds the flags of the command that handles what was set aside.
type aside struct {
	stores
	Retry  bool `help:"Make payments and links that were set aside due at once."`
	Forget bool `help:"No longer list the events that were passed over."`
}

// long holds the flags of a long-running command, which reports its progress.
type long struct {
	stores
	Quiet bool `help:"Do not tell how far it is."`
}

func (l long) config(errs io.Writer) app.Config {
	c := l.stores.config()
	c.Progress = progress.To{Out: errs, Quiet: l.Quiet}
	return c
}

type backup struct {
	long
	Dir string `arg:"" help:"Folder to make." type:"path"`
}

type export struct {
	long
	File string `arg:"" help:"File to make." type:"path"`
}

type imports struct {
	long
	File  string `arg:"" help:"File that export made." type:"path"`
	Again bool   `help:"Go on with an import of this file that was cut short."`
}

type keys struct {
	List struct {
		stores
	} `cmd:"" help:"List the public keys."`
	Create struct {
		stores
	} `cmd:"" help:"Make the keys of a split deployment, from which each service gets its share."`
	Export struct {
		stores
		Target []string `required:"" help:"Boxes whose share of the keys is wanted."`
		Dir    string   `arg:"" help:"Folder to write it into." type:"path"`
	} `cmd:"" help:"Write what a service holds of the keys into a folder of its own; again after each change."`
	Rotate struct {
		stores
		Rest    time.Duration `help:"How long before the new keys are used; longer when they have to be exported first." default:"1m"`
		Purpose string        `arg:"" optional:"" help:"link-sign, link-seal, session-sign, webhook-sign, store-seal, answer-seal, webhook-seal, card-seal, mail-seal or receipt-sign; all of them by default."`
	} `cmd:"" help:"Make new keys; the old ones stay valid for what they have signed."`
	Revoke struct {
		stores
		Key string `arg:"" help:"Key id, 8 hexadecimal digits."`
	} `cmd:"" help:"Make a key worthless at once, and everything that it signed."`
}

type receipts struct {
	Verify struct {
		stores
		Receipt string `arg:"" help:"The receipt, or the address that the mail leads to."`
		JWKS    string `help:"File with the published keys; the data folder's keys by default." name:"jwks" type:"path"`
	} `cmd:"" help:"Tell whether a receipt is ours and unaltered, and what it says, without the network."`
}

type links struct {
	Verify struct {
		stores
		URL  string `arg:"" help:"The link's URL or token."`
		JWKS string `help:"File with the published keys; the data folder's keys by default." name:"jwks" type:"path"`
	} `cmd:"" help:"Tell whether a link is ours and unaltered, without the network."`
}

type reports struct {
	Rebuild struct {
		stores
	} `cmd:"" help:"Make them anew from the feed, also while the server runs."`
}

type lakes struct {
	Rebuild struct {
		stores
	} `cmd:"" help:"Have them made anew from the feed, by the process that writes them."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its environment passed in; it returns the exit status.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	var c commands
	exit := -1
	parser, err := kong.New(&c, kong.Name("paylink"), kong.Description("Self-hosted payment links."), kong.DefaultEnvars("PAYLINK"),
		kong.Writers(out, errs), kong.Exit(func(status int) { exit = status }), kong.UsageOnError())
	if err != nil {
		return fail(errs, err)
	}
	call, err := parser.Parse(args)
	if exit >= 0 {
		return exit
	}
	if err != nil {
		return fail(errs, err)
	}
	if node := call.Selected(); isRemote(node) {
		return runRemote(ctx, node.Target.Addr().Interface().(remoteCommand), out, errs) // checked above
	}
	if err := dispatch(ctx, call.Command(), c, out, errs); err != nil {
		return fail(errs, err)
	}
	return 0
}

func fail(errs io.Writer, err error) int {
	_, _ = fmt.Fprintln(errs, "paylink:", err)
	return 1
}

func dispatch(ctx context.Context, command string, c commands, out, errs io.Writer) error {
	if command == "fraud rebuild" {
		return app.RebuildAnalytics(ctx, c.Fraud.Rebuild.config(errs), out)
	}
	if strings.HasPrefix(command, "fraud ") {
		return c.Fraud.dispatch(ctx, command, out, errs)
	}
	switch command {
	case "serve":
		return app.Serve(ctx, c.Serve.config(), out, errs)
	case "check-config":
		if wrong := c.CheckConfig.config().Check(); len(wrong) > 0 {
			return errors.New(strings.Join(wrong, "\n"))
		}
		_, err := fmt.Fprintln(out, "the configuration is good")
		return err
	case "reports rebuild":
		return app.RebuildReports(ctx, c.Reports.Rebuild.config(), out)
	case "lake rebuild":
		return app.RebuildLake(ctx, c.Lake.Rebuild.config(), out)
	case "migrate":
		return app.Migrate(ctx, c.Migrate.config(), out)
	case "aside":
		return app.Aside(ctx, c.Aside.config(), c.Aside.Retry, c.Aside.Forget, out)
	case "verify":
		return app.Verify(ctx, c.Verify.config(errs), out)
	case "backup <dir>":
		return app.Backup(ctx, c.Backup.config(errs), c.Backup.Dir, out)
	case "export <file>":
		return app.Export(ctx, c.Export.config(errs), c.Export.File, out)
	case "import <file>":
		return app.Import(ctx, c.Import.config(errs), c.Import.File, c.Import.Again, out)
	case "keys list":
		return app.ListKeys(c.Keys.List.config(), out)
	case "keys rotate", "keys rotate <purpose>":
		return app.RotateKeys(c.Keys.Rotate.config(), c.Keys.Rotate.Purpose, c.Keys.Rotate.Rest, out)
	case "keys create":
		return app.CreateKeys(c.Keys.Create.config(), out)
	case "keys export <dir>":
		return app.ExportKeys(c.Keys.Export.config(), c.Keys.Export.Target, c.Keys.Export.Dir, out)
	case "keys revoke <key>":
		return app.RevokeKey(c.Keys.Revoke.config(), c.Keys.Revoke.Key, out)
	case "link verify <url>":
		return app.VerifyLink(c.Link.Verify.config(), c.Link.Verify.URL, c.Link.Verify.JWKS, out)
	case "invite <email>":
		return app.Invite(ctx, c.Invite.config(), c.Invite.Email, out)
	case "receipt verify <receipt>":
		return app.VerifyReceipt(c.Receipt.Verify.config(), c.Receipt.Verify.Receipt, c.Receipt.Verify.JWKS, out)
	case "probe", "probe <url>":
		return c.Probe.ask(ctx)
	case "version":
		_, err := fmt.Fprintln(out, "paylink", version)
		return err
	}
	return fmt.Errorf("unknown command %q", command)
}
