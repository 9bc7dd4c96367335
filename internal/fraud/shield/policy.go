package shield

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is the rate of a lane: Count each Per, and Burst at once.
type Rate struct {
	Count int
	Per   time.Duration
	Burst int
}

// Policy defines when something looks like an attack. docs/operate/shield.md lists the defaults.
type Policy struct {
	Off        bool
	Window     time.Duration // for counts of links, ranges and prefixes
	Calm       time.Duration // quiet for this long, a link comes down a level
	CardWindow time.Duration // for counts of a card

	Declines     int  // of a link
	Cards        int  // different ones among them
	Ratio        int  // least percentage of declines among the answers
	Spread       int  // different cards of one BIN, declined on one link
	BIN          int  // different cards of one BIN, declined on several links
	Address      int  // different cards, declined from one prefix
	CardDeclines int  // of one card, from which it is refused
	Waiting      int  // attempts on a link without an answer yet
	Crowd        int  // different cards tried on a link, whatever the outcome
	Bits         int  // of work, initially
	Proved       Rate // of a guarded link, with a proof
	Unproved     Rate // of a link under attack, without one
}

// MaxBits of work take some seconds on a phone; MinBits are not noticeable.
const (
	MaxBits = 20
	MinBits = 8
)

// Default returns the policy without any configuration.
func Default() Policy {
	return Policy{Window: 5 * time.Minute, Calm: 10 * time.Minute, CardWindow: time.Hour,
		Declines: 10, Cards: 8, Ratio: 50, Spread: 6, BIN: 30, Address: 10, CardDeclines: 10, Waiting: 200, Crowd: 250, Bits: 16,
		Proved: Rate{30, time.Minute, 10}, Unproved: Rate{6, time.Minute, 6}}
}

// form describes a setting, for errors.
const form = "off, or NAME=NUMBER, where NAME is declines, cards, ratio, spread, bin, address, card, waiting, crowd, bits, proved or unproved (a minute), calm or window (minutes)"

// maxNumber limits every number of a setting.
const maxNumber = 1_000_000

// Parse applies settings such as "declines=20" or "off" to the default policy. The error quotes the
// setting and lists what is possible. A later setting of the same name counts.
func Parse(settings []string) (Policy, error) {
	p := Default()
	numbers := map[string]*int{
		"declines": &p.Declines,
		"cards":    &p.Cards,
		"ratio":    &p.Ratio,
		"spread":   &p.Spread,
		"bin":      &p.BIN,
		"address":  &p.Address,
		"card":     &p.CardDeclines,
		"waiting":  &p.Waiting,
		"crowd":    &p.Crowd,
		"bits":     &p.Bits,
		"proved":   &p.Proved.Count,
		"unproved": &p.Unproved.Count,
	}
	bounds := map[string][2]int{"ratio": {1, 100}, "bits": {MinBits, MaxBits}}
	durations := map[string]*time.Duration{"calm": &p.Calm, "window": &p.Window}

	for _, s := range settings {
		if s == "off" {
			p.Off = true
			continue
		}
		name, text, _ := strings.Cut(s, "=")
		low, high := 1, maxNumber
		if b, ok := bounds[name]; ok {
			low, high = b[0], b[1]
		}

		n, err := strconv.Atoi(text)
		number, minutes := numbers[name], durations[name]
		if minutes != nil {
			high = 24 * 60
		}
		if err != nil || n < low || n > high || (number == nil && minutes == nil) {
			return Policy{}, fmt.Errorf("%q: want %s; the number must be %d to %d", s, form, low, high)
		}

		if minutes != nil {
			*minutes = time.Duration(n) * time.Minute
		} else {
			*number = n
		}
	}

	return p, nil
}
