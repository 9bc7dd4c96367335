package link

// Contrast of a colour with the worst of others.
func Contrast(c string, others ...string) float64 {
	v, _ := parseColour(c)
	return worst(v, others)
}
