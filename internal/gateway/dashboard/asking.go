package dashboard

// asking is a page that asks before money moves.
type asking struct {
	Head     head
	Lead     string
	Notes    []string // what the reader must know before the answer
	Action   string
	Attempt  string
	Hidden   []hidden
	Amount   field // no label: the whole, and no other
	Problems problems
	OK, Back button
}

// hidden is a value that a form carries: what the page said.
type hidden struct{ Name, Value string }

// question is a page that asks before something is done.
type question struct {
	Head         head
	Lead, Detail string
	Action       string
	Attempt      string
	OK, Back     button
	Field        *field
	Problems     problems
}

// secretView shows a secret, this once.
type secretView struct {
	Head                head
	Label, Secret, Lead string
	Note                string
	Next                button
}
