// Package rule compiles and evaluates the conditions that merchants and operators write in CEL
// about a payment attempt.
//
// A condition is typed: one that does not type-check, or is not boolean, is refused with line,
// column and the rule that it breaks. Its cost is bounded twice: a condition whose worst case is
// above MaxCost does not compile, and one that is not known to be cheap is metered while it runs
// and stopped at MaxCost. It reads only the attempt: no clock, no store, no other tenant.
//
// A Program is safe for concurrent use; a Vars belongs to one caller.
package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// Limits of a condition. Cost is in CEL's units: about one for each lookup, comparison or call.
const (
	MaxWhenChars = 2000 // characters
	MaxCost      = 20_000
	// cheapCost is the worst case up to which a condition runs without a meter, which would cost
	// more than so few steps.
	cheapCost     = 400
	maxDepth      = 40 // of parentheses and operators
	maxNodes      = 1000
	maxRegexSize  = 500 // instructions of a compiled pattern
	maxNested     = 2   // nested comprehensions
	maxTextBytes  = 256 // of any text of an attempt; the longest is the email
	maxValues     = 16  // stored with a decision
	maxValueBytes = 100
)

// Error is why a condition does not compile.
type Error struct {
	Line   int // from 1
	Column int // from 1, in characters
	Text   string
}

// Error returns the position and the reason.
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
}

// ErrCost is returned for a condition that was stopped because of its cost.
var ErrCost = fmt.Errorf("the condition was stopped: it exceeded the cost limit of %d", MaxCost)

// Program is a condition ready to run.
type Program struct {
	run  cel.Program
	vars []int // variables that it reads, by index, in order of the text
	cost uint64
}

// environment is the same for every condition. It is made once, at the first use, because that
// takes milliseconds.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.CrossTypeNumericComparisons(true), // amount > 100 is the same as amount > 100.0
		cel.ParserExpressionSizeLimit(MaxWhenChars),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserErrorRecoveryLimit(10),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegexSize),
		cel.EagerlyValidateDeclarations(true),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(),
			cel.ValidateComprehensionNestingLimit(maxNested)),
	}
	for i := range variables {
		options = append(options, cel.Variable(variables[i].Name, variables[i].celType()))
	}

	return cel.NewEnv(options...)
})

// Compile compiles a condition. It returns an *Error if the text is wrong: empty, too long, not
// valid, not boolean, too costly, or using what is not allowed.
func Compile(when string) (*Program, error) {
	if strings.TrimSpace(when) == "" {
		return nil, &Error{Line: 1, Column: 1, Text: "A rule requires a condition, such as card.declined_1h >= 3."}
	}
	if utf8.RuneCountInString(when) > MaxWhenChars {
		return nil, &Error{Line: 1, Column: 1, Text: fmt.Sprintf("A condition can have at most %d characters.", MaxWhenChars)}
	}
	if !utf8.ValidString(when) {
		return nil, &Error{Line: 1, Column: 1, Text: "The condition is not valid UTF-8."}
	}

	env, err := environment()
	if err != nil {
		return nil, err
	}

	checked, issues := env.Compile(when)
	if issues.Err() != nil {
		return nil, explain(issues.Errors(), when)
	}
	if out := checked.OutputType(); !out.IsExactType(types.BoolType) {
		return nil, &Error{
			Line:   1,
			Column: 1,
			Text:   fmt.Sprintf("A condition must be true or false, and this one is %s. Compare it with something.", typeName(out.String())),
		}
	}

	tree := checked.NativeRep()
	if wrong := refuse(tree); wrong != nil {
		return nil, wrong
	}
	respell(tree)

	estimate, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, &Error{Line: 1, Column: 1, Text: "The cost of this condition cannot be bounded."}
	}
	if estimate.Max > MaxCost {
		return nil, &Error{
			Line:   1,
			Column: 1,
			Text: fmt.Sprintf(
				"This condition can cost %s in the worst case; the limit is %d. Shorten its lists or nest them less.",
				costText(estimate.Max),
				MaxCost,
			),
		}
	}

	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if estimate.Max > cheapCost {
		options = append(options, cel.CostLimit(MaxCost))
	}

	run, err := env.Program(checked, options...)
	if err != nil {
		return nil, &Error{Line: 1, Column: 1, Text: "This condition cannot be run: " + firstLine(err.Error())}
	}
	return &Program{run: run, vars: reads(tree), cost: estimate.Max}, nil
}

// costText returns a cost for a message.
func costText(n uint64) string {
	if n > 1_000_000_000 {
		return "more than a billion"
	}
	return fmt.Sprint(n)
}

// refuse returns an error for what type-checks but is not allowed.
func refuse(tree *ast.AST) *Error {
	var wrong *Error
	say := func(e ast.Expr, text string) {
		if wrong == nil {
			at := tree.SourceInfo().GetStartLocation(e.ID())
			wrong = &Error{Line: max(at.Line(), 1), Column: at.Column() + 1, Text: text}
		}
	}
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		call := e.AsCall()
		switch call.FunctionName() {
		case "dyn":
			say(e, "dyn() is not allowed: every value in a rule must have a fixed type.")
		case "matches":
			args := call.Args()
			if len(args) == 0 || args[len(args)-1].Kind() != ast.LiteralKind {
				say(e, "The pattern of matches() must be a literal in quotes.")
			}
		}
	}))
	return wrong
}

// reads returns the variables of a condition, each once, in order of the text: at most maxValues.
func reads(tree *ast.AST) []int {
	var out []int
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		r, ok := tree.ReferenceMap()[e.ID()]
		if !ok {
			return
		}
		if i, ok := byName[r.Name]; ok && !slices.Contains(out, i) && len(out) < maxValues {
			out = append(out, i)
		}
	}))
	return out
}

// sizes estimates the longest texts of an attempt.
type sizes struct{}

// EstimateSize returns the size of a text of the attempt. CEL asks this for each node.
func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if path := n.Path(); len(path) > 0 && n.Type().IsExactType(types.StringType) {
		return &cost.SizeEstimate{Min: 0, Max: maxTextBytes}
	}
	return nil
}

// EstimateCallCost leaves the cost of calls to CEL.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// Eval reports whether the condition holds. An error is the condition's own, such as a division
// by zero, or ErrCost; the condition then does not hold.
func (p *Program) Eval(v *Vars) (bool, error) {
	out, _, err := p.run.Eval(v)
	if err != nil {
		if strings.Contains(err.Error(), "cost limit exceeded") {
			return false, ErrCost
		}
		return false, errors.New(firstLine(err.Error()))
	}
	return out == types.True, nil
}

// WorstCost returns the highest possible cost of the condition.
func (p *Program) WorstCost() uint64 { return p.cost }

// Value is a variable's value as the condition saw it.
type Value struct{ Name, Text string }

// Values returns what the condition reads, in order of its text, for the record of a decision: at
// most 16.
func (p *Program) Values(v *Vars) []Value {
	out := make([]Value, len(p.vars))
	for n, i := range p.vars {
		out[n] = Value{Name: variables[i].Name, Text: v.text(i)}
	}
	return out
}
