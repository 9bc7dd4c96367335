package link

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
)

var update = flag.Bool("update", false, "regenerate testdata/token_vectors.json with new keys")

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func someClaims() Claims {
	return Claims{Link: id.New(id.Link), Account: id.New(id.Account), Bucket: 513, ExpiresAt: t0.Add(time.Hour), Mode: Live}
}

func TestTokenRoundTrip(t *testing.T) {
	ring := keyring.NewMemory(t0)
	for _, c := range []Claims{
		someClaims(),
		{Link: "lnk_" + strings.Repeat("0", 26), Account: "acct_" + strings.Repeat("0", 26), ExpiresAt: time.Unix(0, 0).UTC(), Mode: Test},
		{Link: "lnk_7zzzzzzzzzzzzzzzzzzzzzzzzw", Account: id.New(id.Account), Bucket: 65535, ExpiresAt: time.Unix(maxUint40, 0).UTC(),
			Mode: Live},
	} {
		if !id.Valid(id.Link, c.Link) {
			c.Link = id.FromBytes(id.Link, [16]byte(bytes.Repeat([]byte{255}, 16)))
		}
		token := Mint(ring, c)
		if len(token) > MaxTokenChars || len(token) != 204 {
			t.Errorf("a token has %d characters", len(token))
		}
		got, err := Opener{ring}.Open(token)
		if err != nil || got != c {
			t.Errorf("opened %+v, %v; want %+v", got, err, c)
		}
		if strings.Contains(token, c.Link) {
			t.Error("the link id can be read in the token")
		}
	}
}

// refused checks that every refusal is the same value; an Opener has no store that it could
// read.
func refused(t *testing.T, o Opener, what, token string) {
	t.Helper()
	c, err := o.Open(token)
	if err != ErrToken || c != (Claims{}) { //nolint:errorlint // the very same value is the point
		t.Errorf("%s: %+v, %v", what, c, err)
	}
}

// A token of a future version, genuine by our own keys, is not read as one of this version.
func TestF27_AnotherVersionIsRefused(t *testing.T) {
	ring := keyring.NewMemory(t0)
	signer := ring.Signer(keyring.LinkSign)
	for version := range 256 {
		head := tokenHead(signer.KeyID())
		head[0] = byte(version)
		token := assemble(signer, head, ring.Seal(keyring.LinkSeal, someClaims().encode(), sealContext(head)))
		if _, err := (Opener{ring}).Open(token); (err == nil) != (version == tokenVersion) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

func TestF27_AlteredTokensAreRefused(t *testing.T) {
	ring := keyring.NewMemory(t0)
	o := Opener{ring}
	token := Mint(ring, someClaims())
	raw, err := tokenEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		bad := bytes.Clone(raw)
		bad[bit/8] ^= 1 << (bit % 8)
		refused(t, o, "bit flipped", tokenEncoding.EncodeToString(bad))
	}
	for i := range len(token) {
		refused(t, o, "truncated", token[:i])
		refused(t, o, "beginning cut", token[i+1:])
		refused(t, o, "line break inside", token[:i]+"\n"+token[i:])
		refused(t, o, "line break for a character", token[:i]+"\r"+token[i+1:])
		for _, c := range []string{"A", "B", "_", "=", ".", "+", "é"} {
			if bad := token[:i] + c + token[i+1:]; bad != token {
				refused(t, o, "character replaced", bad)
			}
		}
	}
	refused(t, o, "extended", token+"A")
	refused(t, o, "padded", token+"=")
	refused(t, o, "doubled", token+token)
	refused(t, o, "oversized", strings.Repeat("A", 1<<20))
	refused(t, o, "all zeros", strings.Repeat("A", 204))
	refused(t, o, "another ring's", Mint(keyring.NewMemory(t0), someClaims()))
	other := Mint(ring, someClaims())
	for _, cut := range []int{20, 33, 73, 89} { // inside the nonce, and the joints after it
		raw2, err := tokenEncoding.DecodeString(other)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, o, "two tokens spliced", tokenEncoding.EncodeToString(append(bytes.Clone(raw[:cut]), raw2[cut:]...)))
	}
	if fault.Code(ErrToken) != "link_unknown" || fault.KindOf(ErrToken) != fault.KindNotFound {
		t.Errorf("ErrToken is %v", ErrToken)
	}
}

// TestF27_OtherSignaturesOfOursAreRefused: our own signature over something else is not a
// token.
func TestF27_OtherSignaturesOfOursAreRefused(t *testing.T) {
	ring := keyring.NewMemory(t0)
	signer := ring.Signer(keyring.LinkSign)
	head := tokenHead(signer.KeyID())
	claims := someClaims()
	for what, sealed := range map[string][]byte{
		"sealed without context": ring.Seal(keyring.LinkSeal, claims.encode(), nil),
		"sealed at rest":         ring.Seal(keyring.StoreSeal, claims.encode(), sealContext(head)),
		"claims of no mode":      ring.Seal(keyring.LinkSeal, append(claims.encode()[:39], 2), sealContext(head)),
	} {
		refused(t, Opener{ring}, what, assemble(signer, head, sealed))
	}
	body := append(bytes.Clone(head), ring.Seal(keyring.LinkSeal, claims.encode(), sealContext(head))...)
	refused(t, Opener{ring}, "signed without a domain", tokenEncoding.EncodeToString(append(body, signer.SignMessage(body)...)))
}

func TestVerifySignatureOffline(t *testing.T) {
	ring := keyring.NewMemory(t0)
	keys, err := keyring.ParseJWKS(ring.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	token := Mint(ring, someClaims())
	if kid, err := VerifySignature(keys, token); err != nil || kid != ring.Signer(keyring.LinkSign).KeyID() {
		t.Errorf("own token: %08x, %v", kid, err)
	}
	for _, bad := range []string{"", token[:203], token + "A", "B" + token[1:], Mint(keyring.NewMemory(t0), someClaims())} {
		if _, err := VerifySignature(keys, bad); !errors.Is(err, ErrToken) {
			t.Errorf("%.20s…: %v", bad, err)
		}
	}
}

func TestMintRefusesWhatIsNotAClaim(t *testing.T) {
	for _, spoil := range []func(*Claims){
		func(c *Claims) { c.Link = "lnk_short" },
		func(c *Claims) { c.Account = "" },
		func(c *Claims) { c.Mode = "demo" },
		func(c *Claims) { c.ExpiresAt = time.Unix(-1, 0) },
		func(c *Claims) { c.ExpiresAt = time.Unix(1<<40, 0) },
	} {
		c := someClaims()
		spoil(&c)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("minted %+v", c)
				}
			}()
			Mint(keyring.NewMemory(t0), c)
		}()
	}
}

type vectorFile struct {
	Comment string          `json:"comment"`
	Keys    json.RawMessage `json:"keys"`
	JWKS    json.RawMessage `json:"jwks"`
	Vectors []vector        `json:"vectors"`
}

type vector struct {
	Link      string `json:"link"`
	Account   string `json:"account"`
	Bucket    uint16 `json:"bucket"`
	ExpiresAt int64  `json:"expiresAt"`
	Mode      string `json:"mode"`
	Nonce     string `json:"nonce"`
	Token     string `json:"token"`
}

func (v vector) claims() Claims {
	return Claims{Link: v.Link, Account: v.Account, Bucket: v.Bucket, ExpiresAt: time.Unix(v.ExpiresAt, 0).UTC(), Mode: v.Mode}
}

const vectorPath = "testdata/token_vectors.json"

func readVectors(t testing.TB) (vectorFile, *keyring.Ring) {
	t.Helper()
	raw, err := os.ReadFile(vectorPath)
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "keys.json"), f.Keys, 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.In(dir).Open(t0)
	if err != nil {
		t.Fatal(err)
	}
	return f, ring
}

func writeVectors(t *testing.T) {
	dir := t.TempDir()
	ring, err := keyring.In(dir).Open(t0)
	if err != nil {
		t.Fatal(err)
	}
	f := vectorFile{Comment: "Keys made for these vectors and used nowhere else."}
	if f.Keys, err = os.ReadFile(filepath.Join(dir, "keys.json")); err != nil {
		t.Fatal(err)
	}
	f.JWKS = ring.JWKS()
	for i, mode := range []string{Test, Live, Test} {
		v := vector{Link: id.New(id.Link), Account: id.New(id.Account), Bucket: uint16(i * 777), ExpiresAt: t0.Unix() + int64(i)*86400,
			Mode: mode}
		v.Token = Mint(ring, v.claims())
		raw, err := tokenEncoding.DecodeString(v.Token)
		if err != nil {
			t.Fatal(err)
		}
		v.Nonce = hex.EncodeToString(raw[9:33])
		f.Vectors = append(f.Vectors, v)
	}
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata", 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorPath, append(raw, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTokenVectors builds the tokens a second time, from the layout's description alone.
func TestTokenVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	f, ring := readVectors(t)
	var keys struct {
		Keys []struct {
			ID, Purpose string
			Secret      []byte
		}
	}
	if err := json.Unmarshal(f.Keys, &keys); err != nil {
		t.Fatal(err)
	}
	secret, kid := map[string][]byte{}, map[string][]byte{}
	for _, k := range keys.Keys {
		secret[k.Purpose] = k.Secret
		b, err := hex.DecodeString(k.ID)
		if err != nil {
			t.Fatal(err)
		}
		kid[k.Purpose] = b
	}
	public, err := keyring.ParseJWKS(f.JWKS)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range f.Vectors {
		link, _ := id.Bytes(v.Link)
		account, _ := id.Bytes(v.Account)
		mode := byte(0)
		if v.Mode == Live {
			mode = 1
		}
		var expiry [8]byte
		binary.BigEndian.PutUint64(expiry[:], uint64(v.ExpiresAt))
		claims := bytes.Join([][]byte{link[:], account[:], {byte(v.Bucket >> 8), byte(v.Bucket)}, expiry[3:], {mode}}, nil)
		head := append([]byte{1}, kid["link-sign"]...)
		nonce, err := hex.DecodeString(v.Nonce)
		if err != nil {
			t.Fatal(err)
		}
		aead, err := chacha20poly1305.NewX(secret["link-seal"])
		if err != nil {
			t.Fatal(err)
		}
		body := bytes.Join([][]byte{head, kid["link-seal"], nonce, aead.Seal(nil, nonce, claims,
			append([]byte("paylink link token: seal\x00"), head...))}, nil)
		sig := ed25519.Sign(ed25519.NewKeyFromSeed(secret["link-sign"]), append([]byte("paylink link token: sign\x00"), body...))
		if got := base64.RawURLEncoding.EncodeToString(append(body, sig...)); got != v.Token {
			t.Errorf("built %s, want %s", got, v.Token)
		}
		if c, err := (Opener{ring}).Open(v.Token); err != nil || !reflect.DeepEqual(c, v.claims()) {
			t.Errorf("opened %+v, %v", c, err)
		}
		if _, err := VerifySignature(public, v.Token); err != nil {
			t.Errorf("offline: %v", err)
		}
	}
}

// FuzzOpen: nothing but what was minted opens.
func FuzzOpen(f *testing.F) {
	file, ring := readVectors(f)
	minted := map[string]bool{}
	for _, v := range file.Vectors {
		minted[v.Token] = true
	}
	o := Opener{ring}
	f.Fuzz(func(t *testing.T, token string) {
		c, err := o.Open(token)
		if minted[token] != (err == nil) {
			t.Fatalf("%q: %+v, %v", token, c, err)
		}
		if err != nil && (err != ErrToken || c != (Claims{})) { //nolint:errorlint // the very same value is the point
			t.Fatalf("%q: %+v, %v", token, c, err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	ring := keyring.NewMemory(t0)
	token := Mint(ring, someClaims())
	for name, s := range map[string]string{
		"ours": token, "empty": "", "oversized": strings.Repeat("A", 5000), "altered": token[:203] + "-",
		"unknown key": Mint(keyring.NewMemory(t0), someClaims()),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = Opener{ring}.Open(s)
			}
		})
	}
}
