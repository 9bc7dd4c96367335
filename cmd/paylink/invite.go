package main

import "github.com/paylink/paylink/internal/app"

// invite is a command on the store, which works beside a running server.
type invite struct {
	stores
	PublicURL string `help:"Public URL of the dashboard." name:"public-url"`
	MailFrom  string `help:"Sender of emails, as set for the server; without it the invitation's link is printed." name:"mail-from"`
	Email     string `arg:"" help:"Email address to invite."`
}

func (i invite) config() app.Config {
	c := i.stores.config()
	c.PublicURL, c.MailFrom = i.PublicURL, i.MailFrom
	return c
}
