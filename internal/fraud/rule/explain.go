package rule

import (
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/common"
)

// explain describes the first error of a condition in plain words, with its position in the text.
func explain(all []*common.Error, when string) *Error {
	if len(all) == 0 {
		return &Error{Line: 1, Column: 1, Text: "This is not a condition."}
	}

	first := all[0]
	for _, e := range all[1:] {
		if at, before := e.Location, first.Location; at.Line() < before.Line() || (at.Line() == before.Line() && at.Column() < before.Column()) {
			first = e
		}
	}

	lines := strings.Count(when, "\n") + 1
	return &Error{Line: min(max(first.Location.Line(), 1), lines), Column: max(first.Location.Column(), 0) + 1, Text: plain(first.Message)}
}

// The compiler's messages that merchants meet, with the parts that are worth repeating.
var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	guess      = regexp.MustCompile(`did you mean '([^']*)'`)
	overload   = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'`)
	mismatched = regexp.MustCompile(`^Syntax error: (?:mismatched|extraneous) input '([^']*)'`)
	missing    = regexp.MustCompile(`^Syntax error: missing '([^']*)'`)
	expected   = regexp.MustCompile(`^expected type '([^']*)' but found '([^']*)'`)
	strange    = regexp.MustCompile(`^Syntax error: token recognition error at: '([^']*)`)
)

// plain translates the compiler's message for a merchant. An unknown message is returned unchanged,
// in one line.
// plain translates the compiler's message for a merchant. An unknown message is returned
// unchanged, in one line.
func plain(message string) string {
	message = firstLine(message)
	if m := undeclared.FindStringSubmatch(message); m != nil {
		meant := ""
		if g := guess.FindStringSubmatch(message); g != nil {
			meant = g[1]
		} else {
			meant = nearest(m[1])
		}
		if meant != "" {
			return fmt.Sprintf("There is no %s. Did you mean %s?", m[1], meant)
		}
		return fmt.Sprintf("There is no %s.", m[1])
	}

	if m := overload.FindStringSubmatch(message); m != nil {
		return unfit(m[1], strings.Trim(m[2], "()"))
	}
	if m := expected.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("Expected %s here, but this is %s.", typeName(m[1]), typeName(m[2]))
	}

	if m := mismatched.FindStringSubmatch(message); m != nil {
		if m[1] == "<EOF>" {
			return "The condition is incomplete: something is missing at its end."
		}
		return fmt.Sprintf("%q is not expected here.", m[1])
	}
	if m := missing.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%q is missing here.", m[1])
	}
	if m := strange.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%q is not expected here. Put strings in quotes.", m[1])
	}

	switch {
	case strings.Contains(message, "recursion limit"), strings.Contains(message, "nesting"):
		return "The condition is nested too deeply."
	case strings.Contains(message, "node"), strings.Contains(message, "code point size"):
		return "The condition is too long."
	case strings.Contains(message, "regex"), strings.Contains(message, "matches"):
		return "The pattern is not a valid regular expression, or is too large."
	}

	return "Invalid condition: " + strings.TrimPrefix(message, "Syntax error: ")
}

// operatorNames turns CEL's name of an operator into its sign.
var operatorNames = strings.NewReplacer("_", "", "@", "")

// unfit says that an operator does not support these types.
func unfit(operator, list string) string {
	of := strings.Split(list, ", ")
	for i := range of {
		of[i] = typeName(of[i])
	}
	name := operatorNames.Replace(operator)
	switch {
	case operator == "@in":
		return fmt.Sprintf(
			"in checks whether a list contains a value, and the operands here are %s. Lists are written [\"a\", \"b\"].",
			strings.Join(of, " and "),
		)
	case (operator == "_==_" || operator == "_!=_") && strings.HasSuffix(of[0], "number") && strings.HasSuffix(of[1], "number"):
		return fmt.Sprintf("%s requires numbers of the same kind: write the whole number with a decimal point, such as 3.0.", name)
	case strings.Contains(operator, "_") && len(of) == 2:
		return fmt.Sprintf("%s cannot be used between %s and %s.", name, of[0], of[1])
	}

	return fmt.Sprintf("%s() cannot be used with %s.", operator, strings.Join(of, " and "))
}

// typeName returns the name of a CEL type for people.
func typeName(t string) string {
	switch t {
	case "int", "uint":
		return "a whole number"
	case "double":
		return "a number"
	case "string":
		return "a text"
	case "bool":
		return "a condition"
	}
	if strings.HasPrefix(t, "list(") {
		return "a list"
	}
	return "a " + t
}

// nearest returns the variable with the most similar spelling, or "" if none is similar.
func nearest(s string) string {
	best, least := "", 3 // with more differences it is another word
	for _, v := range variables {
		if d := distance(s, v.Name, least); d < least {
			best, least = v.Name, d
		}
	}
	return best
}

// distance returns how many characters must be inserted, deleted or replaced, at most limit.
func distance(a, b string, limit int) int {
	if len(a) > len(b)+limit || len(b) > len(a)+limit {
		return limit
	}

	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}

	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := diagonal
			if a[i-1] != b[j-1] {
				change++
			}
			diagonal = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}

	return row[len(b)]
}

// firstLine returns the text up to its first line break.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
