package harness

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/issuer/simulator"
)

// Authorized counts what the issuer's own book has of a payment.
func Authorized(t *testing.T, p *Process, id string) (n int) {
	t.Helper()
	book, err := simulator.OpenBook(filepath.Join(p.Data, "simulator.book"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range book {
		if e.Kind == simulator.KindAuthorize && strings.HasPrefix(e.Reference, id+"-") {
			n++
		}
	}
	return n
}

// StolenCard is one of the simulated range of card testers.
func StolenCard(i int) string {
	digits := fmt.Sprintf("40000199%07d", i)
	sum := 0
	for at := range digits { // Luhn: every second digit from the right counts twice
		d := int(digits[len(digits)-1-at] - '0')
		if at%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return fmt.Sprintf("%s%d", digits, (10-sum%10)%10)
}
