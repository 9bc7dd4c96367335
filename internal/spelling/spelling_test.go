package spelling_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/paylink/paylink/internal/spelling"
)

func TestEmail(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"a@example.com", "a@example.com"},
		{" a@example.com ", "a@example.com"},
		{"a@example.com\u200b", "a@example.com"},
		{"\ufeffa@example.com", "a@example.com"},
		{"\u200ea@example.com", "a@example.com"},
		{"a\u202e@example.com", "a@example.com"},
		{"A.B+tag@Example.COM", "A.B+tag@example.com"},
		{"user@münchen.example", "user@xn--mnchen-3ya.example"},
		{"user@mu\u0308nchen.example", "user@xn--mnchen-3ya.example"},
		{"user@MÜNCHEN.example", "user@xn--mnchen-3ya.example"},
		{"user@xn--mnchen-3ya.example", "user@xn--mnchen-3ya.example"},
		{"用户@例え.jp", "用户@xn--r8jz45g.jp"},
		{"jose\u0301@example.com", "josé@example.com"},
		{`"a"@example.com`, "a@example.com"},
		{"a@faß.example", "a@xn--fa-hia.example"},
		{"a@example", "a@example"}, // a company's own host

		{"", ""},
		{"a", ""},
		{"a@", ""},
		{"@example.com", ""},
		{"a\u00a0@example.com", ""},
		{"a@example.com\u3002", ""},
		{"a@example.com.", ""},
		{"a@exa_mple.com", ""},
		{"a@-example.com", ""},
		{"a@example-.com", ""},
		{"a@b..com", ""},
		{"a@" + strings.Repeat("x", 64) + ".com", ""},
		{strings.Repeat("a", 65) + "@example.com", ""},
		{"A <a@example.com>", ""},
		{"<a@example.com>", ""},
		{"a@example.com (comment)", ""},
		{"a@example.com, b@example.com", ""},
		{"a@[127.0.0.1]", ""},
		{"a b@example.com", ""},
		{"a\r\n@example.com", ""},
		{"a\x00@example.com", ""},
		{"a@example.com\xff", ""},
	} {
		got, err := spelling.Email(row.in)
		if got != row.want || (err == nil) != (row.want != "") {
			t.Errorf("Email(%q) = %q, %v; want %q", row.in, got, err, row.want)
		}
	}
}

func TestEmailKey(t *testing.T) {
	const want = "bad@xn--mnchen-3ya.example"
	for _, s := range []string{"bad@münchen.example", "BAD@MÜNCHEN.EXAMPLE", "bad\u200b@münchen.example",
		"bad@mu\u0308nchen.example", "ｂａｄ@xn--mnchen-3ya.example", `"bad"@münchen.example`, "b\u00adad@münchen.example"} {
		if got := spelling.EmailKey(s); got != want {
			t.Errorf("EmailKey(%q) = %q, want %q", s, got, want)
		}
	}
	if got := spelling.EmailKey("bad@@"); got != "" {
		t.Errorf("EmailKey of what is no address = %q", got)
	}
}

func TestHost(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"Bücher.example", "xn--bcher-kva.example"},
		{"localhost", "localhost"},
		{"127.0.0.1", "127.0.0.1"},
		{"r3---sn-4g5.example.com", "r3---sn-4g5.example.com"},
		{"a..b", ""}, {".", ""}, {"", ""}, {"a.", ""}, {"-a.example", ""}, {"a_b.example", ""}, {"a b", ""}, {"a/b", ""}, {"a:80", ""},
	} {
		if got, err := spelling.Host(row.in); got != row.want || (err == nil) != (row.want != "") {
			t.Errorf("Host(%q) = %q, %v; want %q", row.in, got, err, row.want)
		}
	}
}

func TestTyped(t *testing.T) {
	const want = "4242424242424242"
	for _, s := range []string{"\u200e4242 4242 4242 4242\u200e", "\u202a4242424242424242\u202c", "\u20664242424242424242\u2069",
		"4242\u00ad4242\u00ad4242\u00ad4242", "4242\u2060424242424242", "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢", "４２４２４２４２４２４２４２４２", "४२४२४२४२४२४२४२४२",
		"𝟒𝟐𝟜𝟚𝟦𝟤𝟰𝟮𝟺𝟸𝟒𝟐𝟒𝟐𝟒𝟐"} {
		if got := spelling.Typed(s); got != want {
			t.Errorf("Typed(%q) = %q, want %q", s, got, want)
		}
	}
	// Every decimal digit that Unicode has, by its own table of values.
	for _, r := range unicode.Nd.R16 {
		for c := rune(r.Lo); c <= rune(r.Hi); c++ {
			if got, want := spelling.Typed(string(c)), string('0'+(c-rune(r.Lo))%10); got != want {
				t.Errorf("Typed(%U) = %q, want %q", c, got, want)
			}
		}
	}
}

func TestNameAndDeceives(t *testing.T) {
	family := "👩\u200d👩\u200d👧"
	for _, row := range []struct {
		in, want string
		deceives bool
	}{
		{"Jose\u0301 Nu\u0301n\u0303ez", "José Núñez", false},
		{"a\u200bb", "ab", false},
		{"\ufeffa", "a", false},
		{"a\u202eb", "a\u202eb", true},
		{"a\u2066b", "a\u2066b", true},
		{"a\u2028b", "a\u2028b", true},
		{"a\nb", "a\nb", true},
		{"a\xff", "a\xff", true},
		{family, family, false},
		{"علی\u200cرضا", "علی\u200cرضا", false},
		{"D’Angelo-Ñúñez", "D’Angelo-Ñúñez", false},
	} {
		got := spelling.Name(row.in)
		if utf8.ValidString(row.in) && got != row.want {
			t.Errorf("Name(%q) = %q, want %q", row.in, got, row.want)
		}
		if spelling.Deceives(row.in, "") != row.deceives {
			t.Errorf("Deceives(%q) = %v", row.in, !row.deceives)
		}
	}
	if spelling.Deceives("two\nlines", "\n") || spelling.Deceives("two\u2028lines", "\n") {
		t.Error("an allowed line end deceives")
	}
}

// TestCell: what a spreadsheet may run is made text, in the API's files and the dashboard's alike.
func TestCell(t *testing.T) {
	for _, s := range []string{"=1+1", "+1", "-1+1", "-", "-x", "@SUM(1)", "＝1+1", "＋1", "－1", "＠1", "﹢1", "﹣1", "﹦1", "﹫1",
		"−1", "\t=1", "\r=1", "\n=1", "\tx", "\rx", " =1", "\u200b=1", "\ufeff＝1", "\u00a0\u200e+1", "--1", "-1\t"} {
		if got := spelling.Cell(s); got != "'"+s && got != "'"+s[:1]+"'"+s[1:] {
			t.Errorf("%q becomes %q, which a spreadsheet may run", s, got)
		}
	}
	for s, want := range map[string]string{
		";=1": ";'=1", "a; @b": "a;' @b", "a\t+1;-2\n=3": "a\t'+1;'-2\n'=3", "=1;=2": "'=1;'=2", "\t=1": "'\t'=1",
	} {
		if got := spelling.Cell(s); got != want {
			t.Errorf("%q becomes %q, want %q", s, got, want)
		}
	}
	for _, s := range []string{"", "Müller", "1-1", "小龍", "'=1", "a=b", "\u200b", "-12.50", "-1", "12.50", "a; b", ";",
		"2026-01-01T00:00:00Z"} {
		if got := spelling.Cell(s); got != s {
			t.Errorf("%q becomes %q", s, got)
		}
	}
}

func TestPassword(t *testing.T) {
	if a, b := spelling.Password("Pa\u0308ss\u00a0wort"), spelling.Password("Päss wort"); a != b {
		t.Errorf("%q and %q are one password", a, b)
	}
	if got := spelling.Password("a\u200bb "); got != "a\u200bb " {
		t.Errorf("a password keeps every character: %q", got)
	}
}

func TestFold(t *testing.T) {
	for _, row := range [][]string{
		{"muller", "Müller", "MULLER", norm.NFD.String("Müller"), "Mu\u200bller"},
		{"o'brien", "O’Brien", "O'BRIEN", "Oʼbrien"},
		{"strasse", "straße", "STRASSE"},
		{"istanbul", "İstanbul", "istanbul"},
		{"李小龍", "李小龍"},
		{norm.NFC.String("が"), "が", norm.NFD.String("が")},
		{"jose nunez", norm.NFD.String("José Núñez")},
		{"abc", "ＡＢＣ"},
	} {
		for _, s := range row[1:] {
			if got := spelling.Fold(s); got != row[0] {
				t.Errorf("Fold(%q) = %q, want %q", s, got, row[0])
			}
		}
	}
}

// FuzzSpelling: each function returns its own results unchanged, so stored text compares equal
// to text that is read again.
func FuzzSpelling(f *testing.F) {
	for _, s := range []string{"a@example.com\u200b", "user@mu\u0308nchen.example", "\u202a42\u202c", "Müller", `"a b"@x`,
		"\u0345\u0301", "ẛ̣", "\u1e9e@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, fn := range map[string]func(string) string{"Pasted": spelling.Pasted, "Name": spelling.Name, "Typed": spelling.Typed,
			"Password": spelling.Password, "Fold": spelling.Fold} {
			if once := fn(s); fn(once) != once {
				t.Errorf("%s(%q) = %q, and again %q", name, s, once, fn(once))
			}
		}
		if e, err := spelling.Email(s); err == nil {
			if again, err := spelling.Email(e); err != nil || again != e {
				t.Errorf("Email(%q) = %q, and again %q, %v", s, e, again, err)
			}
			if k := spelling.EmailKey(s); k == "" || spelling.EmailKey(k) != k {
				t.Errorf("EmailKey(%q) = %q, and again %q", s, k, spelling.EmailKey(k))
			}
		}
		if h, err := spelling.Host(s); err == nil {
			if again, err := spelling.Host(h); err != nil || again != h {
				t.Errorf("Host(%q) = %q, and again %q, %v", s, h, again, err)
			}
		}
	})
}
