package parts

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/i18n"
)

// A chart is drawn on this many units; the style stretches it to its place.
const (
	chartWidth  = 600
	chartHeight = 180
	chartTop    = 8 // space for a line's thickness above the greatest value
)

// printer returns the printer of the context's language.
func printer(ctx context.Context) *i18n.Printer { return i18n.From(ctx) }

// Fact is a name with its value.
type Fact struct {
	Label string
	Value templ.Component
}

// viewBox returns the SVG attribute of that name.
func (c Chart) viewBox() string { return fmt.Sprintf("0 0 %d %d", chartWidth, chartHeight) }

// top returns the greatest value, or 1 if all are zero, so that nothing divides by zero.
func (c Chart) top() int64 {
	top := int64(1)
	for _, s := range c.Series {
		for _, v := range s.Values {
			top = max(top, v)
		}
	}
	return top
}

// most returns the greatest value as text, for the chart's axis.
func (c Chart) most() string { return c.Format(c.top()) }

// first returns the first label, for the chart's axis.
func (c Chart) first() string {
	if len(c.Labels) == 0 {
		return ""
	}
	return c.Labels[0]
}

// last returns the last label, or "" if it is the first.
func (c Chart) last() string {
	if len(c.Labels) < 2 {
		return ""
	}
	return c.Labels[len(c.Labels)-1]
}

// grid returns the heights of the lines behind the picture.
func (c Chart) grid() []string {
	var out []string
	for i := range 4 {
		out = append(out, strconv.Itoa(chartTop+(chartHeight-chartTop)*i/4))
	}
	return append(out, strconv.Itoa(chartHeight-1))
}

// y returns the height of a value in the picture. Floats are precise enough for a picture;
// amounts that are shown are never computed with them.
func (c Chart) y(v int64) float64 {
	share := float64(max(v, 0)) / float64(c.top())
	return float64(chartHeight) - share*float64(chartHeight-chartTop)
}

// path returns the line of a series as an SVG path. A single value becomes a short dash in
// the middle.
func (c Chart) path(at int) string {
	values := c.Series[at].Values
	var b strings.Builder
	for i, v := range values {
		x := float64(chartWidth) / 2
		if len(values) > 1 {
			x = float64(chartWidth) * float64(i) / float64(len(values)-1)
		}
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, x, c.y(v))
	}
	if len(values) == 1 {
		b.WriteString("h1")
	}
	return b.String()
}

// bar is one column of a chart, with its text for a pointer.
type bar struct{ x, y, w, h, title string }

// columns returns the columns of a series. Series stand beside each other in each slot.
func (c Chart) columns(at int) []bar {
	s := c.Series[at]
	slot := float64(chartWidth) / float64(max(len(s.Values), 1))
	width := slot * 0.7 / float64(len(c.Series))
	var out []bar
	for i, v := range s.Values {
		y := c.y(v)
		x := slot*float64(i) + slot*0.15 + width*float64(at)
		out = append(
			out,
			bar{x: fmt.Sprintf("%.1f", x), y: fmt.Sprintf("%.1f", y), w: fmt.Sprintf("%.1f", width), h: fmt.Sprintf("%.1f", float64(chartHeight)-y),
				title: c.Labels[i] + ": " + c.Format(v)},
		)
	}
	return out
}
