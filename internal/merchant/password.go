package merchant

import (
	"context"
	"strings"

	"github.com/alexedwards/argon2id"

	"github.com/paylink/paylink/internal/spelling"
)

// The parameters are OWASP's first choice for argon2id (19 MiB, two passes, one lane) rather
// than RFC 9106's 64 MiB. With hashesPerCore at once, memory stays below 40 MiB a core under a
// flood of sign-ins. The cost to a guesser is lower by a factor that one more character of the
// password outweighs.
var argon = argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// decoyHash has our parameters and no password. A sign-in with an unknown login is compared
// with it, so that it takes as long as one with a known login.
var decoyHash = "$argon2id$v=19$m=19456,t=2,p=1$" + strings.Repeat("A", 22) + "$" + strings.Repeat("A", 43)

// hash returns the hash of the password in the spelling of RFC 8265, with our parameters.
func (h *hasher) hash(ctx context.Context, s share, password string) (string, error) {
	leave, err := h.enter(ctx, s)
	if err != nil {
		return "", err
	}
	defer leave()
	return argon2id.CreateHash(spelling.Password(password), &argon)
}

// matches compares in the same spelling. An older hash was made of the password as it was
// typed, so that is compared too if it differs: always both, so that the time depends only
// on what is typed. old reports that only the old hash matches, so that the caller can
// renew it.
func (h *hasher) matches(ctx context.Context, s share, password, hash string) (match, old bool, err error) {
	leave, err := h.enter(ctx, s)
	if err != nil {
		return false, false, err
	}
	defer leave()
	password = bounded(password)
	match, err = argon2id.ComparePasswordAndHash(spelling.Password(password), hash)
	if err != nil || spelling.Password(password) == password {
		return match, false, err
	}
	typed, err := argon2id.ComparePasswordAndHash(password, hash)
	return match || typed, typed && !match, err
}
