package merchant

import (
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
)

// names are what guessers know of the user in these tests.
var names = []string{"paylink", "maria.k", "mkowalska@shop.example", "Corner Bakery", "pay.example.com"}

func TestCommonPasswords(t *testing.T) {
	for kind, list := range map[string][]string{
		"repetition": {"aaaaaaaaaaaa", "............", "            ", "abcabcabcabc", "111111222222", "aaaabbbbcccc", "121212121212",
			"xyzxyzxyzxyz", "9a9a9a9a9a9a", "кккккккккккк", "漢漢漢漢漢漢漢漢漢漢漢漢", "asdf asdf asdf", "q1q1q1q1q1q1q1", "abccbaabccba"},
		"sequence": {"123456789012", "098765432109", "abcdefghijkl", "zyxwvutsrqpo", "112233445566", "a1b2c3d4e5f6", "abcd1234abcd",
			"1234abcd5678",
			"0123456789ab", "123123123123", "12345678910111213"},
		"keyboard": {"qwertyuiop12", "1qaz2wsx3edc", "zaq12wsxcde3", "1q2w3e4r5t6y", "q1w2e3r4t5y6", "asdfghjkl123", "zxcvbnm12345",
			"qwertzuiop12",
			"azertyuiop12", "qweasdzxc123", "poiuytrewq12", "qazwsxedcrfv", "qwertyqwerty", "qwerty123456"},
		"word": {"passwordpassword", "letmeinletmein", "iloveyou1234", "administrator", "changeme1234", "Password1234!", "adminadminadmin",
			"welcome12345", "PASSWORD1234", "password48291573", "sunshine2023!", "Summer2024!!!", "trustno1trustno1", "monkeymonkey12",
			"football12345", "michael1987!!", "michael23051987", "princess12345", "dragon!dragon!", "welcomewelcome", "rootrootroot",
			"test1234test", "qwertypassword", "passwordadmin1", "my1password!", "iloveyouiloveyou", "superman123456", "Passwort12345",
			"motdepasse123", "contraseña123", "senha1234567", "2024password2024", "**password**", "1234password5678", "password password"},
		"spelled with digits": {"p4ssw0rdp4ssw0rd", "P@ssw0rd1234", "p@$$w0rd2024", "4dm1n1str4t0r", "l3tm31nl3tm31n", "!l0v3y0u2024",
			"drowssap1234",
			"p a s s w o r d 1", "pass-word-1234", "ppaasssswwoorrdd", "passw0rd!passw0rd!", "ｐａｓｓｗｏｒｄ１２３４", "pa\u200bssword\u200b12345"},
		"own name": {"paylinkpaylink", "paylink12345", "PayLink-2024!!", "pay link pay link", "maria.kmaria.k", "maria.k48291573",
			"mariamaria2024",
			"mkowalska@shop.example", "mkowalska12345", "mkowalskamkowalska", "cornerbakery1", "Corner Bakery 2024", "pay.example.com",
			"payexamplecom1",
			"pay.example.com48291573", "example.com!", "paylinkmaria1"},
	} {
		for _, p := range list {
			if !tooCommon(p, names) {
				t.Errorf("%s: %q is accepted", kind, p)
			}
		}
	}
}

func TestGoodPasswords(t *testing.T) {
	for _, p := range []string{"correct horse battery", "twelve characters", "another good password", "try paylink today", "gT7#kq0Zp!xW",
		"vhwqkzjfmrbt", "482915736052", "Zwölf Boxkämpfer jagen Viktor", "Pässwörter-für-alle", "Pa\u0308sswo\u0308rter-fu\u0308r-alle",
		"мой старый зонтик", "桜の木の下で会いましょうね", "maria likes her violin", "dragon monkey shadow", "tulip-gravel-9", "8401-xk-93741-uu",
		"the bakery on the corner opens at six", "b7f2c91e4d8a", strings.Repeat("correct horse battery staple ", 8)} {
		if tooCommon(p, names) {
			t.Errorf("%q is refused", p)
		}
	}
}

// TestPassphrasesAreGood makes passphrases of words that were not chosen for this test: those of the
// project's own documents.
func TestPassphrasesAreGood(t *testing.T) {
	seen := map[string]bool{}
	var words []string
	for _, path := range []string{"../../README.md", "../../SECURITY.md", "../../ARCHITECTURE.md", "../../docs/forms.md",
		"../../docs/safety.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range regexp.MustCompile(`\b[a-z]{4,9}\b`).FindAllString(string(text), -1) {
			if !seen[w] && w != "paylink" {
				seen[w] = true
				words = append(words, w)
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same ones in every run
	for i := range 3000 {
		var parts []string
		for range 3 + i%3 {
			parts = append(parts, words[random.IntN(len(words))])
		}
		p := strings.Join(parts, []string{" ", "-", "", "7"}[i%4])
		if len(p) >= MinPasswordChars && tooCommon(p, names) {
			t.Errorf("%q is refused", p)
		}
	}
}

// TestCommonPasswordsAreRefusedEverywhere sets a password in each way that there is.
func TestCommonPasswordsAreRefusedEverywhere(t *testing.T) {
	b := newBench()
	u := b.signUp(t).User
	for _, p := range []string{"passwordpassword", "ada.lada.lada.l", "pay.example1234", "paylinkpaylink"} {
		_, err := b.SignUp(t.Context(), SignUpRequest{Username: "ada.l", Email: "ada@example.com", Password: p}, nil)
		is(t, err, "password", "password_too_common")
		is(t, b.ChangePassword(t.Context(), u.ID, "", password, p, ""), "newPassword", "password_too_common")
		_, err = b.setPassword(t.Context(), u, p, "") // of a reset
		is(t, err, "newPassword", "password_too_common")
	}
}
