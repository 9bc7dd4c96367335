package app

import (
	"fmt"
	"io"
	"slices"

	"github.com/paylink/paylink/internal/gateway/apidocs"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/pages"
)

// PrintAssets prints the address and the hash of every script and style sheet that the pages of this
// version load, for comparison with what a browser receives. Addresses are below the public URL.
func PrintAssets(out io.Writer) error {
	for _, a := range slices.Concat(pages.Assets(), frame.Assets(), apidocs.Assets()) {
		if !a.Runs() {
			continue
		}
		if _, err := fmt.Fprintln(out, a.Integrity, a.Path); err != nil {
			return err
		}
	}
	return nil
}
