package api

// ComparedByBytes names the calls whose bodies the table of routes has no struct for.
func ComparedByBytes() (calls []string) {
	for _, rt := range routes {
		if rt.Method == "POST" && (rt.body != bodyNone) != (rt.in != nil) {
			calls = append(calls, rt.Method+" "+rt.Path)
		}
	}
	return calls
}
