package site

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Document returns a JSON document with its addresses as they are on the public host: the
// members of each object named "links", and the type of a problem. Objects are stored with our
// own paths, so an event from before a move to another path leads to the right place after it.
// Everything else keeps its bytes. A document that is not JSON is returned as it is.
func (s Site) Document(doc []byte) []byte {
	if s.path == "" || !bytes.Contains(doc, []byte(`"/`)) {
		return doc
	}
	var out bytes.Buffer
	copied := 0
	in := jsontext.NewDecoder(bytes.NewReader(doc), jsontext.AllowDuplicateNames(true))
	for {
		token, err := in.ReadToken()
		if err != nil { // the end, or no JSON from here on
			break
		}
		if token.Kind() != '"' || !strings.HasPrefix(token.String(), "/") || !isAddress(in) {
			continue
		}
		// The decoder is just after the string. The string's first byte is the first such byte
		// that is not copied yet, because names and other strings hold no unescaped quote.
		end := int(in.InputOffset())
		start := end - len(quoted(doc[copied:end]))
		out.Write(doc[copied : start+1])
		out.WriteString(s.path)
		copied = start + 1
	}
	if copied == 0 {
		return doc
	}
	out.Write(doc[copied:])
	return out.Bytes()
}

// isAddress reports whether the string just read is an address: a member of "links", or the
// member "type" of the whole document.
func isAddress(in *jsontext.Decoder) bool {
	depth := in.StackDepth()
	kind, length := in.StackIndex(depth)
	if kind != '{' || length%2 != 0 { // an element of a list, or a name
		return false
	}
	pointer := in.StackPointer()
	if depth == 1 {
		return pointer == "/type"
	}
	return pointer.Parent().LastToken() == "links"
}

// quoted returns the JSON string at the end of doc, with its quotes.
func quoted(doc []byte) []byte {
	start := bytes.LastIndexByte(doc[:len(doc)-1], '"')
	for start > 0 && escaped(doc[:start]) {
		start = bytes.LastIndexByte(doc[:start], '"')
	}
	return doc[start:]
}

// escaped reports whether the byte after doc is escaped: an odd number of backslashes.
func escaped(doc []byte) bool {
	return (len(doc)-len(bytes.TrimRight(doc, `\`)))%2 == 1
}
