package apidocs

import (
	"strings"

	"github.com/paylink/paylink/internal/gateway/problem"
)

// block is a paragraph or a table of the document's words.
type block struct {
	Pieces []piece
	Table  [][][]piece // rows of cells; the first row is the head
}

// piece is a run of text.
type piece struct {
	Text, Href string
	Code, Bold bool
}

// words reads what the document says in CommonMark: the parts of it that it uses,
// which are paragraphs, tables, code and bold. The rest stands as it is written. Code
// that is the code of a problem leads to what explains it.
func (r *reader) words(s string) (all []block) {
	for para := range strings.SplitSeq(strings.TrimSpace(s), "\n\n") {
		para = strings.TrimSpace(para)
		if para == "" {
			continue
		}
		if !strings.HasPrefix(para, "|") {
			all = append(all, block{Pieces: r.pieces(strings.Join(strings.Fields(para), " "))})
			continue
		}
		var table [][][]piece
		for i, line := range strings.Split(para, "\n") {
			if i == 1 {
				continue // the rule under the head
			}
			var row [][]piece
			for cell := range strings.SplitSeq(strings.Trim(strings.TrimSpace(line), "|"), "|") {
				row = append(row, r.pieces(strings.TrimSpace(cell)))
			}
			table = append(table, row)
		}
		all = append(all, block{Table: table})
	}
	return all
}

func (r *reader) pieces(s string) (all []piece) {
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			p := piece{Text: part, Code: true}
			if _, ok := problem.CodeByName(part); ok {
				p.Href = r.base + "/problems/" + part
			}
			all = append(all, p)
			continue
		}
		for j, run := range strings.Split(part, "**") {
			if run != "" {
				all = append(all, piece{Text: run, Bold: j%2 == 1})
			}
		}
	}
	return all
}

// plain is the text of blocks without their marks.
func plain(all []block) string {
	var b strings.Builder
	for _, x := range all {
		b.WriteString(plainPieces(x.Pieces))
	}
	return b.String()
}

func plainPieces(all []piece) string {
	var b strings.Builder
	for _, p := range all {
		b.WriteString(p.Text)
	}
	return b.String()
}

// title begins a name with a capital.
func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
