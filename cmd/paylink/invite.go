package main

import "github.com/paylink/paylink/internal/app"

// invite is a command on the store, which works beside a running server.
type invite struct {
	stores
	PublicURL string `help:"URL under which the dashboard is reached." name:"public-url"`
	MailFrom  string `help:"In whose name mails are sent, as the server has it; without it the invitation's link is printed." name:"mail-from"`
	Email     string `arg:"" help:"Whom to invite."`
}

func (i invite) config() app.Config {
	c := i.stores.config()
	c.PublicURL, c.MailFrom = i.PublicURL, i.MailFrom
	return c
}
