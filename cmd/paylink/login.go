package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/paylink/paylink/client"
)

// cliScopes are the scopes that the commands need.
var cliScopes = []string{
	"links:read",
	"links:write",
	"payments:read",
	"payments:write",
	"webhooks:read",
	"webhooks:write",
	"events:read",
	"balance:read",
	"forms:read",
	"forms:write",
	"fraud:read",
	"fraud:write",
}

// login saves a key for the commands that call a server: the given one, or one that it creates
// after signing the user in.
type login struct {
	remote
	Username      string `help:"Sign in as this user and create a test-mode key; the password is read from standard input."`
	AllowInsecure bool   `help:"Allow plain http to another machine."`
}

func (l *login) call(ctx context.Context, c *console) error {
	if strings.HasPrefix(c.url, "http://") && !l.AllowInsecure && !loopback(c.url) {
		return errors.New("plain http exposes the key on the network: use https, or --allow-insecure")
	}
	key := l.APIKey
	switch {
	case l.Username != "":
		made, err := l.makeKey(ctx, c)
		if err != nil {
			return err
		}
		key = made
	case key == "":
		return errors.New("give --api-key (or PAYLINK_API_KEY), or --username")
	default:
		if _, err := c.Payments.Issuers(ctx); err != nil { // any key may
			return err
		}
	}
	all, err := readProfiles()
	if err != nil {
		return err
	}
	all.Profiles[l.Profile] = profile{URL: c.url, APIKey: key}
	path, err := all.write()
	if err != nil {
		return err
	}
	return c.print(
		map[string]string{"profile": l.Profile, "url": c.url, "file": path},
		"saved the profile %s for %s in %s",
		l.Profile,
		c.url,
		path,
	)
}

func loopback(address string) bool {
	host, _, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	return strings.HasPrefix(host, "127.") || strings.HasPrefix(host, "localhost") || strings.HasPrefix(host, "[::1]")
}

const maxPasswordLine = 4 << 10

func (l *login) makeKey(ctx context.Context, c *console) (string, error) {
	c.say("password for %s:", l.Username)
	password, err := bufio.NewReader(io.LimitReader(os.Stdin, maxPasswordLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	open, err := c.As(client.WithSecret(""))
	if err != nil {
		return "", err
	}
	session, err := open.Users.SignIn(ctx, client.SignIn{Login: l.Username, Password: strings.TrimRight(password, "\r\n")})
	if err != nil {
		return "", err
	}
	user, err := c.As(client.WithSession(session.Token))
	if err != nil {
		return "", err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "a terminal"
	}
	key, err := user.Keys.Create(ctx, client.CreateKey{Name: fmt.Sprintf("paylink on %.40s", host), Mode: client.ModeTest, Scopes: cliScopes})
	if err != nil {
		return "", err
	}
	return key.ID + ":" + key.Secret, user.Users.SignOut(ctx)
}
