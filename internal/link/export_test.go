package link

// Contrast returns the lowest contrast of a color with others.
func Contrast(c string, others ...string) float64 {
	v, _ := parseColour(c)
	return worst(v, others)
}
