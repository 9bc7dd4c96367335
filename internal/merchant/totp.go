package merchant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/keyring"
)

// Codes follow RFC 6238 with the parameters that every authenticator knows. One step before and
// after the current one is accepted, for clocks that differ; a step whose code was used, and
// those before it, never again.
const (
	totpSeconds     = 30
	totpSkew        = 1 // steps
	totpSecretBytes = 20
	totpIssuer      = "paylink"

	recoveryCodes     = 10
	recoveryBytes     = 10 // 80 random bits, so that a fast hash is right
	recoveryChars     = 16
	recoveryGroup     = 4
	maxCodeInputBytes = 64

	resealPage = 200 // users read at once
)

var (
	totpOptions    = hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
	recoveryCoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)
	errTOTPOn      = fault.New(fault.KindConflict, "totp_on",
		"Sign-in codes are already turned on. Turn them off to use another authenticator.")
	errTOTPOff = fault.New(fault.KindConflict, "totp_off", "Sign-in codes are not turned on.")
)

// totpContext binds a sealed secret to its user.
func totpContext(user string) []byte { return []byte("totp\x00" + user) }

// Sealed returns the sealed secret of the user's authenticator, if there is one, and what opens it.
// An earlier version sealed it under store-seal.
func (g Guard) Sealed(ring *keyring.Ring) (p keyring.Purpose, sealed, about []byte) {
	p = keyring.TOTPSeal
	if ring.SealedFor(keyring.StoreSeal, g.SealedTOTP) {
		p = keyring.StoreSeal
	}
	return p, g.SealedTOTP, totpContext(g.User)
}

// RunReseal seals every secret of an authenticator that an earlier version sealed under store-seal,
// which the service transactions holds too, under totp-seal. It ends with the last user, and can be
// repeated after a failure: each user is a commit of its own. A secret that cannot be opened stays
// as it is; verify names it.
func (l *Local) RunReseal(ctx context.Context) error {
	n := 0
	for after := ""; ; {
		page, err := l.access.Guards(ctx, after, resealPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, g := range page {
			after = g.User
			if !l.resealed(&g) {
				continue
			}
			err := l.amend(ctx, g.User, func(g *Guard) (Change, error) {
				l.resealed(g)
				return Change{}, nil
			})
			if err != nil {
				return err
			}
			n++
		}
	}
	if n > 0 {
		l.log.InfoContext(ctx, "secrets of authenticators are sealed under their own key now", "count", n)
	}
	return nil
}

// resealed seals the secret of a guard under totp-seal, and reports whether it was under store-seal.
func (l *Local) resealed(g *Guard) bool {
	p, sealed, about := g.Sealed(l.ring)
	if p == keyring.TOTPSeal {
		return false
	}
	secret, err := l.ring.Unseal(p, sealed, about)
	if err != nil {
		return false
	}
	g.SealedTOTP = l.ring.Seal(keyring.TOTPSeal, secret, about)
	return true
}

// Security returns what the user has turned on, without secrets.
func (l *Local) Security(ctx context.Context, user string) (Security, error) {
	g, err := l.access.GuardOf(ctx, user)
	if err != nil {
		return Security{}, err
	}
	out := Security{TOTPSince: g.TOTPSince, RecoveryLeft: len(g.Recovery), Passkeys: make([]Passkey, 0, len(g.Passkeys))}
	for _, p := range g.Passkeys {
		p.Credential = nil
		out.Passkeys = append(out.Passkeys, p)
	}
	return out, nil
}

// BeginTOTP makes a secret, which replaces one that was not confirmed, and returns it. It
// needs the password again, and fails with totp_on while codes are on.
func (l *Local) BeginTOTP(ctx context.Context, user, password string) (TOTPOffer, error) {
	u, err := l.again(ctx, user, password)
	if err != nil {
		return TOTPOffer{}, err
	}

	key, err := totp.Generate(totp.GenerateOpts{Issuer: totpIssuer, AccountName: u.Email, SecretSize: totpSecretBytes, Rand: rand.Reader})
	if err != nil {
		return TOTPOffer{}, fmt.Errorf("merchant: secret of an authenticator: %w", err)
	}

	sealed := l.ring.Seal(keyring.TOTPSeal, []byte(key.Secret()), totpContext(user))
	err = l.amend(ctx, user, func(g *Guard) (Change, error) {
		if g.TOTPOn {
			return Change{}, errTOTPOn
		}
		g.SealedTOTP, g.TOTPStep = sealed, 0
		return Change{}, nil
	})
	if err != nil {
		return TOTPOffer{}, err
	}

	return TOTPOffer{Secret: key.Secret(), URL: offerURL(u.Email, key.Secret())}, nil
}

// offerURL returns a short URL, so that its QR code is easy to read: the omitted parameters are
// the defaults of all authenticators.
func offerURL(email, secret string) string {
	return "otpauth://totp/" + url.PathEscape(totpIssuer+":"+email) + "?secret=" + secret + "&issuer=" + totpIssuer
}

// ConfirmTOTP turns codes on and returns the recovery codes, which are shown only here. A
// wrong code is otp_invalid and counts as a guess. The code that confirms is used up. It fails
// with totp_on while codes are on, and with totp_off if there is no secret to confirm.
func (l *Local) ConfirmTOTP(ctx context.Context, user, code string) (codes []string, err error) {
	u, err := l.users.UserByID(ctx, user)
	if err != nil {
		return nil, err
	}

	errCode := error(fault.Invalid("code", "otp_invalid", "The code is wrong. Check your device's clock and use the next code."))
	err = l.guess(ctx, againKey(user), func() (verdict, error) {
		added := l.didUser(ctx, u, activity.SecondFactorAdded, map[string]string{"factor": "codes"})
		err := l.amend(added, user, func(g *Guard) (Change, error) {
			switch {
			case g.TOTPOn:
				return Change{}, errTOTPOn
			case g.SealedTOTP == nil:
				return Change{}, errTOTPOff
			case !l.useTOTP(g, tidyCode(code)):
				return Change{}, errCode
			}
			g.TOTPOn, g.TOTPSince = true, l.time()
			codes, g.Recovery = newRecovery(user)
			return Change{Forget: []string{againKey(user)}}, nil
		})
		switch {
		case err == nil:
			return stored, nil
		case errors.Is(err, errCode):
			return wrong, err
		}
		return spared, err
	})
	if err != nil {
		return nil, err
	}

	return codes, nil
}

// EndTOTP turns codes off, and deletes secret and recovery codes. It needs the password,
// and succeeds if codes are off already.
func (l *Local) EndTOTP(ctx context.Context, user, password string) error {
	u, err := l.again(ctx, user, password)
	if err != nil {
		return err
	}
	ctx = l.didUser(ctx, u, activity.SecondFactorRemoved, map[string]string{"factor": "codes"})
	return l.amend(ctx, user, func(g *Guard) (Change, error) {
		g.TOTPOn, g.SealedTOTP, g.TOTPStep, g.Recovery, g.TOTPSince = false, nil, 0, nil, time.Time{}
		return Change{}, nil
	})
}

// RenewRecovery replaces the recovery codes and returns the new ones. It needs the
// password. The old codes end in the same commit.
func (l *Local) RenewRecovery(ctx context.Context, user, password string) ([]string, error) {
	u, err := l.again(ctx, user, password)
	if err != nil {
		return nil, err
	}

	var codes []string
	err = l.amend(l.didUser(ctx, u, activity.RecoveryCodesRenewed, nil), user, func(g *Guard) (Change, error) {
		if !g.TOTPOn {
			return Change{}, errTOTPOff
		}
		codes, g.Recovery = newRecovery(user)
		return Change{}, nil
	})
	if err != nil {
		return nil, err
	}

	return codes, nil
}

// useCode reports whether the input is a valid code of the authenticator or a recovery
// code, and uses it up in the guard, which the caller must commit.
func (l *Local) useCode(g *Guard, input string) bool {
	code := tidyCode(input)
	if len(code) == recoveryChars {
		return useRecovery(g, code)
	}
	return l.useTOTP(g, code)
}

// tidyCode removes what people put between the characters of a code. Input that is too long
// returns "", which is never a code.
func tidyCode(s string) string {
	if len(s) > maxCodeInputBytes {
		return ""
	}
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(strings.TrimSpace(s)))
}

// useTOTP checks a code of the authenticator. It raises TOTPStep, so that neither this code
// nor an older one works again.
func (l *Local) useTOTP(g *Guard, code string) bool {
	if len(code) != int(otp.DigitsSix) {
		return false
	}

	secret, err := l.ring.Unseal(g.Sealed(l.ring))
	if err != nil {
		l.log.Error("the secret of an authenticator cannot be decrypted", "user", g.User, "error", err)
		return false
	}

	present := l.now().Unix() / totpSeconds
	for step := present - totpSkew; step <= present+totpSkew; step++ {
		want, err := hotp.GenerateCodeCustom(string(secret), uint64(step), totpOptions)
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && step > g.TOTPStep {
			g.TOTPStep = step
			return true
		}
	}

	return false
}

// useRecovery checks a recovery code and removes it from the guard.
func useRecovery(g *Guard, code string) bool {
	hash := hashRecovery(g.User, strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(code)) // commonly misread characters
	at := slices.IndexFunc(g.Recovery, func(h []byte) bool { return subtle.ConstantTimeCompare(h, hash) == 1 })
	if at < 0 {
		return false
	}
	g.Recovery = slices.Delete(slices.Clone(g.Recovery), at, at+1)
	return true
}

// newRecovery returns new recovery codes, as they are shown and as they are stored.
func newRecovery(user string) (codes []string, hashes [][]byte) {
	for range recoveryCodes {
		var b [recoveryBytes]byte
		_, _ = rand.Read(b[:]) // never fails; the runtime ends the process instead
		code := recoveryCoding.EncodeToString(b[:])
		hashes = append(hashes, hashRecovery(user, code))
		var groups []string
		for part := range slices.Chunk([]byte(code), recoveryGroup) {
			groups = append(groups, string(part))
		}
		codes = append(codes, strings.Join(groups, "-"))
	}
	return codes, hashes
}

// hashRecovery returns the form in which a recovery code is stored, bound to its user.
func hashRecovery(user, code string) []byte {
	sum := sha256.Sum256([]byte("paylink recovery\x00" + user + "\x00" + code))
	return sum[:]
}
