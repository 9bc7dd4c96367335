package parts

// Asking is a page that asks before money moves.
type Asking struct {
	Head     Head
	Lead     string
	Notes    []string // what the reader must know before the answer
	Action   string
	Attempt  string
	Hidden   []Hidden
	Amount   Field // no label: the whole, and no other
	Problems Problems
	OK, Back Button
}

// Hidden is a value that a form carries: what the page said.
type Hidden struct{ Name, Value string }

// Question is a page that asks before something is done.
type Question struct {
	Head         Head
	Lead, Detail string
	Action       string
	Attempt      string
	OK, Back     Button
	Field        *Field
	Problems     Problems
}

// SecretView shows a secret, this once.
type SecretView struct {
	Head                Head
	Label, Secret, Lead string
	Note                string
	Next                Button
}
