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
	Data          string `help:"Data folder." default:"./data" type:"path"`
	Store         string `help:"Store: sqlite:PATH, by default in the data folder, or postgres://…."`
	PaymentsStore string `help:"Separate store of links and payments: dynamodb://TABLE."`
	KeysDir       string `help:"Folder of the keys; by default keys in the data folder." name:"keys" type:"path"`
	KEK           string `help:"What the keys are sealed under: file:PATH, credential:NAME (systemd), exec:PATH or awskms:KEY; nothing by default." name:"key-encryption-key" placeholder:"KIND:NAME"`
}

type serving struct {
	stores
	Target               []string          `help:"Services to run: all, or some of gateway, users, links, verifier, payments, transactions, notifier, fraud, simulator." default:"all"`
	Listen               string            `help:"Address of the public listener." default:"127.0.0.1:8080"`
	AdminListen          string            `help:"Address of the health and metrics listener; port 0 picks a free port and logs it." default:"127.0.0.1:0"`
	PublicURL            string            `help:"Public URL that payers use; the listener's address by default." name:"public-url"`
	HSTS                 time.Duration     `help:"How long browsers must use https after a visit (Strict-Transport-Security), if the public URL is https: up to 17520h, or 0 to send no header." name:"hsts" default:"8760h"`
	AllowedHosts         []string          `help:"Other hosts that requests may name besides that of the public URL, or *: any."`
	InternalListen       string            `help:"Split: address on which this process serves its services to the other processes."`
	InternalKeys         string            `help:"Split: file with the keys between this process's services and others, as internal-keys export writes it." type:"path"`
	InternalSecretFile   string            `help:"Removed; use --internal-keys." hidden:"" type:"path"`
	InternalTLS          string            `help:"Split: folder with tls.crt, tls.key and ca.crt for mutual TLS between services." name:"internal-tls" type:"path"`
	Service              map[string]string `help:"Split: URLs of another service, NAME=URL[,URL…]; repeatable." mapsep:";" placeholder:"NAME=URL"`
	Demo                 bool              `help:"Create a demo account, an API key and a link, and print them."`
	AllowPrivateWebhooks bool              `help:"Development: allow webhooks to private addresses and over plain http."`
	AllowDumps           bool              `help:"Development: allow core dumps and debuggers; both show card numbers."`
	SignUp               string            `help:"Who may sign up: open (anyone), invitation (invited people) or closed (no one)." default:"open"`
	MailURL              string            `help:"Mail server: smtp://USER:PASSWORD@HOST:587 (STARTTLS), smtps://…, or smtp://HOST:25?tls=off for a local relay; without it no email is sent." name:"mail-url"`
	MailFrom             string            `help:"Sender of emails, such as 'Payments <pay@shop.example>'."`
	MailLimit            []string          `help:"Limits on emails to payers in live mode within 24 hours: NAME=COUNT; repeatable. Names: account, recipient, network." sep:"none"`
	Limit                []string          `help:"Rate limits: NAME=COUNT/s, /m, /h or /d, optionally with ,BURST, or NAME=off; repeatable. Names: address, sign-in, sign-up, pay, link, key, account." sep:"none"`
	LimitStore           string            `help:"redis://HOST:PORT/DATABASE, where several gateways share their rate limits; each has its own by default."`
	TrustedProxies       []string          `help:"Networks of the proxies in front, whose X-Forwarded-For is trusted, such as 10.0.0.0/8."`
	CountryHeader        string            `help:"Header in which those proxies send the country of the payer's IP address, such as CF-IPCountry." placeholder:"NAME"`
	Lake                 string            `help:"Where to write the change feed as Parquet files for other engines: a folder, or s3://BUCKET/PREFIX; nowhere by default."`
	LakeAge              time.Duration     `help:"Maximum age of an event before it is written there." default:"1m"`
	Fraud                string            `help:"Assess payment attempts for fraud before the issuer is asked: on or off." enum:"on,off" default:"on"`
	FraudBudget          time.Duration     `help:"How long the assessment may take before the account's policy decides: 1ms to 1s." default:"25ms"`
	Shield               []string          `help:"Protection of links against card testing: off, or NAME=NUMBER; repeatable. Names: declines, cards, ratio, spread, bin, address, card, waiting, crowd, bits, proved, unproved, calm, window." sep:"none"`
	LogLevel             string            `help:"Log level: debug, info, warn or error." default:"info"`
}

func (s serving) config() app.Config {
	c := app.Config{
		Targets:              s.Target,
		DataDir:              s.Data,
		KeysDir:              s.KeysDir,
		KEK:                  s.KEK,
		Listen:               s.Listen,
		AdminListen:          s.AdminListen,
		PublicURL:            s.PublicURL,
		HSTS:                 s.HSTS,
		AllowedHosts:         s.AllowedHosts,
		Store:                s.Store,
		PaymentsStore:        s.PaymentsStore,
		InternalListen:       s.InternalListen,
		InternalKeys:         s.InternalKeys,
		InternalSecretFile:   s.InternalSecretFile,
		InternalTLS:          s.InternalTLS,
		Demo:                 s.Demo,
		AllowPrivateWebhooks: s.AllowPrivateWebhooks,
		AllowDumps:           s.AllowDumps,
		SignUp:               s.SignUp,
		LogLevel:             s.LogLevel,
		MailURL:              s.MailURL,
		MailFrom:             s.MailFrom,
		MailLimits:           s.MailLimit,
		Limits:               s.Limit,
		LimitStore:           s.LimitStore,
		TrustedProxies:       s.TrustedProxies,
		CountryHeader:        s.CountryHeader,
		Shield:               s.Shield,
		Lake:                 s.Lake,
		LakeAge:              s.LakeAge,
		FraudOff:             s.Fraud == "off",
		FraudBudget:          s.FraudBudget,
	}
	for name, urls := range s.Service {
		if c.Services == nil {
			c.Services = map[string][]string{}
		}
		c.Services[name] = strings.Split(urls, ",")
	}
	return c
}

func (s stores) config() app.Config {
	return app.Config{
		Targets:       []string{"all"},
		DataDir:       s.Data,
		KeysDir:       s.KeysDir,
		KEK:           s.KEK,
		Listen:        "127.0.0.1:0",
		AdminListen:   "127.0.0.1:0",
		Store:         s.Store,
		PaymentsStore: s.PaymentsStore,
	}
}

type commands struct {
	Config configFile `help:"JSON file whose members are flag names, with hyphens as underscores." type:"path"`

	Serve       serving `cmd:"" help:"Run the server."`
	CheckConfig serving `cmd:"" help:"Check the configuration."`
	Migrate     migrate `cmd:"" help:"Migrate the store to this version's schema."`
	Grants      grants  `cmd:"" help:"Print the SQL that gives each service's PostgreSQL role its rights."`
	Aside       aside   `cmd:"" help:"List what failed repeatedly and was set aside; works while the server runs."`
	Verify      long    `cmd:"" help:"Check every invariant on the data; works while the server runs."`
	Backup      backup  `cmd:"" help:"Copy the data into a new folder; works while the server runs."`
	Export      export  `cmd:"" help:"Export the whole store into a new file, to import it into another store."`
	Import      imports `cmd:"" help:"Import an exported file into an empty store."`
	Keys        keys    `cmd:"" help:"Manage the key ring."`

	InternalKeys internalKeys `cmd:"" help:"Manage the keys between the services of a split deployment."`
	Certificates certificates `cmd:"" help:"Create or renew the certificates between the services of a split deployment."`

	Link     links    `cmd:"" help:"Verify payment links offline."`
	Receipt  receipts `cmd:"" help:"Verify receipts offline."`
	Reports  reports  `cmd:"" help:"Manage the reports: figures and searches of the dashboard."`
	Lake     lakes    `cmd:"" help:"Manage the Parquet files for other engines."`
	Fraud    frauds   `cmd:"" help:"Manage fraud models, and the installation's rules, lists and policy."`
	Invite   invite   `cmd:"" help:"Invite a person to sign up with a new account."`
	Activity doings   `cmd:"" help:"Print who did what, as JSON lines; works while the server runs."`
	Probe    probe    `cmd:"" help:"Check health; exits 0 if healthy. For containers without a shell."`
	Licenses struct{} `cmd:"" help:"Print the licenses of all software in this binary."`
	Assets   struct{} `cmd:"" help:"List the scripts and style sheets of the pages with their hashes."`
	Version  struct{} `cmd:"" help:"Print the version."`

	remoteCommands
}

// remoteCommands call a server's API.
type remoteCommands struct {
	Login    login           `cmd:"" help:"Save the server and key for the commands below."`
	Links    linkCommands    `cmd:"" help:"Manage links over the API."`
	Payments paymentCommands `cmd:"" help:"Manage payments over the API."`
	Events   eventCommands   `cmd:"" help:"List events over the API."`
	Listen   listen          `cmd:"" help:"Follow events live, and forward them to a local URL."`
	Trigger  trigger         `cmd:"" help:"Cause an event in test mode."`
	Clock    clockCommands   `cmd:"" help:"Show or advance the test clock."`
	Webhooks webhookCommands `cmd:"" help:"Redeliver webhooks over the API."`
}

// doings holds the flags of the command that prints who did what.
type doings struct {
	stores
	Since  time.Duration `help:"How far back to begin." default:"24h"`
	Follow bool          `help:"Keep running, and print what is done."`
}

// migrate holds the flags of the command that migrates the store.
type migrate struct {
	long
	Roles string `help:"PostgreSQL: then give the role PREFIX+SERVICE of each service its rights, such as paylink_users for the prefix paylink_." placeholder:"PREFIX"`
}

// grants holds the flags of the command that prints the services' rights.
type grants struct {
	stores
	Roles string `help:"What the roles' names begin with, before the service's name." default:"paylink_"`
}

// aside holds the flags of the command that handles what was set aside.
type aside struct {
	stores
	Retry  bool `help:"Retry payments and links that were set aside now."`
	Forget bool `help:"Clear the list of skipped events."`
}

// long holds the flags of a long-running command, which reports its progress.
type long struct {
	stores
	Quiet bool `help:"Do not print progress."`
}

func (l long) config(errs io.Writer) app.Config {
	c := l.stores.config()
	c.Progress = progress.To{Out: errs, Quiet: l.Quiet}
	return c
}

type backup struct {
	long
	KeysFor []string `help:"Also copy the keys, encrypted to this age recipient (age1…); repeatable." placeholder:"RECIPIENT"`
	Dir     string   `arg:"" help:"Folder to create." type:"path"`
}

type export struct {
	long
	File string `arg:"" help:"File to create." type:"path"`
}

type imports struct {
	long
	File  string `arg:"" help:"File that export wrote." type:"path"`
	Again bool   `help:"Continue an interrupted import of this file."`
}

type keys struct {
	List struct {
		stores
	} `cmd:"" help:"List the public keys."`
	Create struct {
		stores
	} `cmd:"" help:"Create the keys of a split deployment; export gives each service its share."`
	Export struct {
		stores
		Target    []string `required:"" help:"Services whose share of the keys to export."`
		SealUnder string   `help:"Seal the export under a key-encryption key of its own." placeholder:"KIND:NAME"`
		Dir       string   `arg:"" help:"Folder to write into." type:"path"`
	} `cmd:"" help:"Write a service's share of the keys into a separate folder; repeat after each key change."`
	Rotate struct {
		stores
		Rest    time.Duration `help:"Delay before the new keys are used; make it longer if they must be exported first." default:"1m"`
		Purpose string        `arg:"" optional:"" help:"link-sign, link-seal, session-sign, webhook-sign, store-seal, totp-seal, answer-seal, webhook-seal, card-seal, mail-seal, receipt-sign, mac or puzzle-mac; all of them by default."`
	} `cmd:"" help:"Create new keys; the old ones stay valid for what they signed."`
	Revoke struct {
		stores
		Key string `arg:"" help:"Key id, 8 hexadecimal digits."`
	} `cmd:"" help:"Revoke a key now, and with it everything that it signed."`
	KEK struct {
		File string `arg:"" help:"File to create, on other media than the keys." type:"path"`
	} `cmd:"" name:"kek" help:"Create a key-encryption key in a file."`
	Seal struct {
		stores
		From string `help:"What the keys are sealed under now; nothing by default." placeholder:"KIND:NAME"`
	} `cmd:"" help:"Seal the keys under --key-encryption-key."`
	Unseal struct {
		stores
	} `cmd:"" help:"Write the keys as a plain file again, as versions before sealing read it."`
	Restore struct {
		stores
		Identity string `required:"" help:"File with the age identity (AGE-SECRET-KEY-1…) of a recipient." type:"path"`
		File     string `arg:"" help:"keys.age of a backup." type:"path"`
	} `cmd:"" help:"Restore the keys of a backup into an empty folder."`
}

type receipts struct {
	Verify struct {
		stores
		Receipt string `arg:"" help:"The receipt, or its address from the email."`
		JWKS    string `help:"File with the published keys; the data folder's keys by default." name:"jwks" type:"path"`
	} `cmd:"" help:"Check that a receipt is authentic and print it, without the network."`
}

type links struct {
	Verify struct {
		stores
		URL  string `arg:"" help:"The link's URL or token."`
		JWKS string `help:"File with the published keys; the data folder's keys by default." name:"jwks" type:"path"`
	} `cmd:"" help:"Check that a link is authentic, without the network."`
}

type reports struct {
	Rebuild struct {
		stores
	} `cmd:"" help:"Rebuild the reports from the feed; works while the server runs."`
}

type lakes struct {
	Rebuild struct {
		stores
	} `cmd:"" help:"Request a rebuild from the feed by the process that writes them."`
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
	if strings.HasPrefix(command, "internal-keys ") {
		return c.InternalKeys.dispatch(command, out)
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
		for _, warning := range c.CheckConfig.config().Warnings() {
			_, _ = fmt.Fprintln(errs, "paylink: warning:", warning)
		}
		_, err := fmt.Fprintln(out, "the configuration is valid")
		return err
	case "reports rebuild":
		return app.RebuildReports(ctx, c.Reports.Rebuild.config(), out)
	case "lake rebuild":
		return app.RebuildLake(ctx, c.Lake.Rebuild.config(), out)
	case "migrate":
		return app.Migrate(ctx, c.Migrate.config(errs), c.Migrate.Roles, out)
	case "grants":
		return app.PrintGrants(c.Grants.config(), c.Grants.Roles, out)
	case "aside":
		return app.Aside(ctx, c.Aside.config(), c.Aside.Retry, c.Aside.Forget, out)
	case "verify":
		return app.Verify(ctx, c.Verify.config(errs), out)
	case "backup <dir>":
		return app.Backup(ctx, c.Backup.config(errs), c.Backup.Dir, c.Backup.KeysFor, out)
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
		return app.ExportKeys(c.Keys.Export.config(), c.Keys.Export.Target, c.Keys.Export.Dir, c.Keys.Export.SealUnder, out)
	case "certificates <dir>":
		return app.MakeCertificates(c.Certificates.Dir, c.Certificates.Target, c.Certificates.Host, c.Certificates.Valid, out)
	case "keys revoke <key>":
		return app.RevokeKey(c.Keys.Revoke.config(), c.Keys.Revoke.Key, out)
	case "keys kek <file>":
		return app.CreateKEK(c.Keys.KEK.File, out)
	case "keys seal":
		return app.SealKeys(c.Keys.Seal.config(), c.Keys.Seal.From, out)
	case "keys unseal":
		return app.UnsealKeys(c.Keys.Unseal.config(), out)
	case "keys restore <file>":
		return app.RestoreKeys(c.Keys.Restore.config(), c.Keys.Restore.File, c.Keys.Restore.Identity, out)
	case "link verify <url>":
		return app.VerifyLink(c.Link.Verify.config(), c.Link.Verify.URL, c.Link.Verify.JWKS, out)
	case "activity":
		return app.PrintActivity(ctx, c.Activity.config(), time.Now().Add(-c.Activity.Since), c.Activity.Follow, out)
	case "invite <email>":
		return app.Invite(ctx, c.Invite.config(), c.Invite.Email, out)
	case "receipt verify <receipt>":
		return app.VerifyReceipt(c.Receipt.Verify.config(), c.Receipt.Verify.Receipt, c.Receipt.Verify.JWKS, out)
	case "probe", "probe <url>":
		return c.Probe.ask(ctx)
	case "licenses":
		return printLicenses(out)
	case "assets":
		return app.PrintAssets(out)
	case "version":
		_, err := fmt.Fprintln(out, "paylink", version)
		return err
	}
	return fmt.Errorf("unknown command %q", command)
}
