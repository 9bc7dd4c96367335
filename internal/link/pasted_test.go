package link_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/link"
)

func TestPasted(t *testing.T) {
	const l = "https://pay.example/l/AbC-_9"
	for _, text := range []string{
		l, " " + l + " ", l + ".", l + ",", l + ")", l + ").", l + "!", l + "…", l + "。", "<" + l + ">", "(" + l + ")", "«" + l + "»", `"` + l + `"`, "'" + l + "'", "“" + l + "”", "‹" + l + "›", "「" + l + "」", "`" + l + "`", "**" + l + "**", "_" + l + "_",
		"\u200b" + l, l + "\u200b", "\ufeff" + l + "\u200e", "https://pay.\u200bexample/l/AbC-_9", "\u202a" + l + "\u202c", "Pay here: " + l,
		"«Pay here: " + l + "»", "Pay here:\n" + l + "\nThanks.", "Link:" + l, "[x](" + l + ")", "[" + l + "](" + l + ")",
		l + " <" + l + ">", "<" + l + "|Pay>", l + "%20", l + "%20%20.", l + "%E2%80%8B", l + "です。", "お支払いはこちら" + l + "です", "お支払い：" + l,
		"https://pay.example/l/Ab\nC-_9", "https://pay.example/l/Ab C-_9", "https://pay.example/l/\r\n  AbC-_9", "> " + l,
	} {
		if got := link.Pasted(text); !slices.Contains(got, l) {
			t.Errorf("%q gives %q", text, got)
		}
	}
	for _, text := range []string{"AbC-_9", "AbC-_9.", "(AbC-_9)", "\u200bAbC-_9", "AbC\n-_9", "<AbC-_9>"} {
		if got := link.Pasted(text); !slices.Contains(got, "AbC-_9") {
			t.Errorf("%q gives %q", text, got)
		}
	}
	for _, text := range []string{"pay.example/l/AbC-_9.", "Pay at pay.example/l/AbC-_9, please", "(pay.example/l/AbC-_9)"} {
		if got := link.Pasted(text); !slices.Contains(got, "pay.example/l/AbC-_9") {
			t.Errorf("%q gives %q", text, got)
		}
	}
	// These addresses lead elsewhere: no spelling of them is the link.
	for _, text := range []string{
		"https://evil.example/?x=" + l, "https://evil.example/" + l, "evil.example/?x=" + l, "evil.example/" + l, "evil.example/(" + l + ")",
		"evil.example:" + l, "evil@" + l, "https://evil.example/#" + l, "https://evil.example " + l, l + " https://evil.example/",
		"[" + l + "](https://evil.example/)", "[https://evil.example](" + l + ")", `<a href="https://evil.example/">` + l + `</a>`, "evil。example／" + l, "evil.example/\"" + l, "evil.example/<" + l + ">", "evil.example/?x=pay.example/l/AbC-_9", "x" + l, "-" + l,
		"https://pay.example@evil.example/l/AbC-_9", "https://evil.example/l/AbC-_9", "https://pay.example.evil.example/l/AbC-_9",
		"https://pay.example。evil.example/l/AbC-_9", "", " ", strings.Repeat("x ", 10000) + l,
	} {
		for _, got := range link.Pasted(text) {
			if strings.HasPrefix(got, "https://pay.example/") || strings.HasPrefix(got, "pay.example/") || got == "AbC-_9" {
				t.Errorf("%q gives %q", text, got)
			}
		}
	}
}

func TestBareToken(t *testing.T) {
	for _, s := range []string{"AbC-_9", "AbC-_9.", "AbC-_9)", "AbC-_9 ", "AbC-_9\u200b", "<AbC-_9>", "AbC-_9_", "AbC-_9).",
		"\ufeffAbC-_9\n"} {
		if got := link.BareToken(s); got != "AbC-_9" {
			t.Errorf("%q gives %q", s, got)
		}
	}
}
