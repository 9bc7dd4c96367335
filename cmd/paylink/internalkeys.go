package main

import (
	"fmt"
	"io"
	"time"

	"github.com/paylink/paylink/internal/app"
)

// internalKeys are the operator's commands for the keys between services. The root stays with the
// operator; each service gets a file with its own keys.
type internalKeys struct {
	Create struct {
		Root string `arg:"" help:"File to create." type:"path"`
	} `cmd:"" help:"Create the root of the keys; export gives each service its keys."`
	Export struct {
		Root   string   `required:"" help:"File that create wrote." type:"path"`
		Target []string `required:"" help:"Services that run in one process."`
		File   string   `arg:"" help:"File to write, for --internal-keys." type:"path"`
	} `cmd:"" help:"Write the keys of a process: one for each service that it calls, and one for each that calls it."`
	Rotate struct {
		Rest time.Duration `help:"Delay before the new keys are used; export them to every service within it." default:"10m"`
		Root string        `arg:"" help:"File that create wrote." type:"path"`
	} `cmd:"" help:"Add new keys; the previous ones stay valid until retire."`
	Retire struct {
		Root string `arg:"" help:"File that create wrote." type:"path"`
	} `cmd:"" help:"Remove the previous keys; export to every service again."`
}

// certificates are the flags of the command that makes the certificates between services.
type certificates struct {
	Dir    string        `arg:"" help:"Folder to write into: the authority, and a folder for each service." type:"path"`
	Target []string      `help:"Only these services; all by default."`
	Host   []string      `help:"Name or address under which a service is called; {target} stands for the service's name. Repeatable." default:"{target}"`
	Valid  time.Duration `help:"How long the certificates are valid, 1h to 19800h." default:"8760h"`
}

func (k internalKeys) dispatch(command string, out io.Writer) error {
	switch command {
	case "internal-keys create <root>":
		return app.CreateInternalKeys(k.Create.Root, out)
	case "internal-keys export <file>":
		return app.ExportInternalKeys(k.Export.Root, k.Export.Target, k.Export.File, out)
	case "internal-keys rotate <root>":
		return app.RotateInternalKeys(k.Rotate.Root, k.Rotate.Rest, out)
	case "internal-keys retire <root>":
		return app.RetireInternalKeys(k.Retire.Root, out)
	}
	return fmt.Errorf("unknown command %q", command)
}
