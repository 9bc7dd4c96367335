package link

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/paylink/paylink/internal/fault"
)

// Look is the appearance of a form, within limits that keep contrast.
type Look struct {
	// Accent is the color of buttons and links in the light theme: #rrggbb.
	Accent string `json:"accent,omitempty"`
	// AccentDark is the accent in the dark theme. If empty, it is the accent lightened as far
	// as the contrast requires.
	AccentDark string `json:"accentDark,omitempty"`
	Corners    string `json:"corners,omitempty"`
}

// The defaults are those of the payer's page.
const (
	DefaultAccent     = "#1f4fd1"
	DefaultAccentDark = "#8fb0ff"
)

// Grounds are the backgrounds of accents in each theme: card, page, and the soft background of
// a second button. A test compares them with the pages' stylesheet.
var (
	LightGrounds = []string{"#ffffff", "#f3f5f9", "#eef2fd"}
	DarkGrounds  = []string{"#171b23", "#0d1016", "#1f2737"}
)

// minContrast is the least contrast of text: WCAG 2.2, success criterion 1.4.3 (AA).
const minContrast = 4.5

// lightenSteps is the number of steps in which an accent is lightened for the dark theme.
const lightenSteps = 20

// Checked returns the look with its defaults, or a fault that names what has too little
// contrast.
func (l Look) Checked() (Look, error) {
	if l.Accent == "" && l.AccentDark == "" {
		l.Accent, l.AccentDark = DefaultAccent, DefaultAccentDark
	}
	// A dark accent alone keeps the default light one.
	if l.Accent == "" {
		l.Accent = DefaultAccent
	}
	if l.Corners == "" {
		l.Corners = CornersRound
	}
	if all := []string{CornersRound, CornersSoft, CornersSquare}; !slices.Contains(all, l.Corners) {
		return l, oneOf("look.corners", all)
	}

	accent, ok := parseColour(l.Accent)
	if !ok {
		return l, badColour("look.accent")
	}

	if l.AccentDark == "" {
		l.AccentDark = lighten(accent).String()
	}
	dark, ok := parseColour(l.AccentDark)
	if !ok {
		return l, badColour("look.accentDark")
	}

	l.Accent, l.AccentDark = accent.String(), dark.String()

	// Contrast is checked last, on the colors that will be used.
	if c := worst(accent, LightGrounds); c < minContrast {
		return l, lowContrast("look.accent", "light", c)
	}
	if c := worst(dark, DarkGrounds); c < minContrast {
		return l, lowContrast("look.accentDark", "dark", c)
	}

	return l, nil
}

// badColour returns the fault of a text that is not a color.
func badColour(param string) error {
	return fault.Invalid(param, "colour_invalid", "Colors must be written as #rrggbb, such as %s.", DefaultAccent)
}

// lowContrast returns the fault of an accent that cannot be read. The contrast is rounded
// down, so that it never shows as enough.
func lowContrast(param, theme string, c float64) error {
	return fault.Invalid(
		param,
		"contrast_too_low",
		"On the %s theme, this color has a contrast of %.1f to 1; at least %.1f to 1 is required (WCAG AA).",
		theme,
		math.Floor(c*10)/10,
		minContrast,
	)
}

// On returns the color of text on an accent: white or black, whichever has more contrast. One
// of the two always has 4.58 to 1 or more.
func On(accent string) string {
	c, _ := parseColour(accent)
	white, black := colour{255, 255, 255}, colour{}
	if c.against(white) >= c.against(black) {
		return white.String()
	}
	return black.String()
}

// Strong returns the accent under the pointer: further from the backgrounds of its theme,
// by a fifth of the way to black or white.
func Strong(accent string, dark bool) string {
	c, _ := parseColour(accent)
	to := colour{}
	if dark {
		to = colour{255, 255, 255}
	}
	return c.toward(to, 0.2).String()
}

// colour is sRGB, 0 to 255. Its arithmetic is about light, not money, so floats are right.
type colour struct{ r, g, b float64 }

// parseColour reads #rrggbb, in either case.
func parseColour(s string) (c colour, ok bool) {
	if len(s) != 7 || s[0] != '#' {
		return c, false
	}
	n, err := strconv.ParseUint(s[1:], 16, 24)
	if err != nil {
		return c, false
	}
	return colour{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}, true
}

// String returns the color as #rrggbb.
func (c colour) String() string {
	return fmt.Sprintf("#%02x%02x%02x", int(c.r), int(c.g), int(c.b))
}

// toward returns the color that is a share, 0 to 1, of the way to another.
func (c colour) toward(to colour, share float64) colour {
	mix := func(a, b float64) float64 { return math.Round(a + (b-a)*share) }
	return colour{mix(c.r, to.r), mix(c.g, to.g), mix(c.b, to.b)}
}

// luminance returns WCAG's relative luminance, from 0 (black) to 1 (white).
func (c colour) luminance() float64 {
	linear := func(v float64) float64 {
		if v /= 255; v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	v := c
	return 0.2126*linear(v.r) + 0.7152*linear(v.g) + 0.0722*linear(v.b)
}

// against returns WCAG's contrast of two colors, from 1 to 21. The order does not matter.
func (c colour) against(other colour) float64 {
	a, b := c.luminance(), other.luminance()
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

// worst returns the lowest contrast of a color with the backgrounds.
func worst(c colour, grounds []string) float64 {
	least := math.Inf(1)
	for _, g := range grounds {
		ground, _ := parseColour(g)
		least = min(least, c.against(ground))
	}
	return least
}

// lighten returns the first step toward white with enough contrast in the dark theme. White
// always has enough.
func lighten(c colour) colour {
	white := colour{255, 255, 255}
	for i := range lightenSteps {
		if v := c.toward(white, float64(i)/lightenSteps); worst(v, DarkGrounds) >= minContrast {
			return v
		}
	}
	return white
}
