package app

import "github.com/paylink/paylink/internal/merchant"

// checkSignUp looks at who may sign up.
func (c Config) checkSignUp(say func(format string, args ...any)) {
	switch c.SignUp {
	case "", merchant.Open:
	case merchant.ByInvitation, merchant.Closed:
		if c.Demo {
			say("--demo signs up for its account by itself: it needs --sign-up open")
		}
	default:
		say("--sign-up %q: want open, invitation or closed", c.SignUp)
	}
}
