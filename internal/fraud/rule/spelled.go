package rule

import (
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/paylink/paylink/internal/spelling"
)

// respell converts the texts that a condition compares with the payer's email or its domain to
// the spelling of Vars: lower case, the domain in ASCII. "Bücher.example" thus matches
// xn--bcher-kva.example. It changes texts directly compared with the variable, and those of a
// list in which it is searched. A pattern of matches() stays unchanged.
func respell(tree *ast.AST) {
	factory := ast.NewExprFactory()
	change := func(e ast.Expr, to func(string) string) {
		texts := []ast.Expr{e}
		if e.Kind() == ast.ListKind {
			texts = e.AsList().Elements()
		}
		for _, t := range texts {
			if t.Kind() != ast.LiteralKind {
				continue
			}
			if s, ok := t.AsLiteral().(types.String); ok {
				t.SetKindCase(factory.NewLiteral(t.ID(), types.String(to(string(s)))))
			}
		}
	}

	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.CallKind:
			if to := compares(tree, e); to != nil {
				for _, operand := range operands(e) {
					change(operand, to)
				}
			}
		case ast.ComprehensionKind:
			loop := e.AsComprehension()
			ast.PreOrderVisit(loop.LoopStep(), ast.NewExprVisitor(func(inner ast.Expr) {
				if to := compares(tree, inner); to != nil {
					change(loop.IterRange(), to)
				}
			}))
		}
	}))
}

// compares returns how to spell the other operands of a comparison with the payer's email or its
// domain, or nil if e is no such comparison.
func compares(tree *ast.AST, e ast.Expr) func(string) string {
	if e.Kind() != ast.CallKind {
		return nil
	}
	switch e.AsCall().FunctionName() {
	case "_==_", "_!=_", "@in", "contains", "endsWith", "startsWith":
	default:
		return nil
	}
	for _, operand := range operands(e) {
		r, ok := tree.ReferenceMap()[operand.ID()]
		if !ok {
			continue
		}
		switch i, known := byName[r.Name]; {
		case known && variables[i].kind == payerDomain:
			return domain
		case known && variables[i].kind == payerEmail:
			return email
		}
	}

	return nil
}

// operands returns what a call compares: its arguments, and the target of a method.
func operands(e ast.Expr) []ast.Expr {
	call := e.AsCall()
	if call.IsMemberFunction() {
		return append([]ast.Expr{call.Target()}, call.Args()...)
	}
	return call.Args()
}

// domain spells a domain, or its end after a dot; other text stays unchanged.
func domain(s string) string {
	name := strings.TrimPrefix(s, ".")
	host, err := spelling.Host(name)
	if err != nil {
		return s
	}
	return strings.TrimSuffix(s, name) + host
}

// email spells an address, or its end from the @ or a dot on; other text stays unchanged.
func email(s string) string {
	if key := spelling.EmailKey(s); key != "" {
		return key
	}
	if local, name, ok := strings.Cut(s, "@"); ok && local == "" {
		return "@" + domain(name)
	}
	if strings.HasPrefix(s, ".") {
		return domain(s)
	}
	return s
}
