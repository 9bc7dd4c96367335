package parts

// Asking is a page that asks before money moves. Its form carries an attempt id, so the
// answer takes effect once.
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

// Hidden is a value that a form carries without showing it, such as the amount that the
// page named.
type Hidden struct{ Name, Value string }

// Question is a page that asks before something is done. Field is an optional choice.
type Question struct {
	Head         Head
	Lead, Detail string
	Action       string
	Attempt      string
	OK, Back     Button
	Field        *Field
	Problems     Problems
}

// SecretView shows a secret. It is the only page that does, and shows it once.
type SecretView struct {
	Head                Head
	Label, Secret, Lead string
	Note                string
	Next                Button
}
