package office

// TokenOf returns the token of a one-click link about a kind of mail to a user.
func TokenOf(l *Local, user, kind string) string {
	at, err := l.unsubscribe(ticket{User: user, Kind: kind})
	if err != nil {
		panic(err) // it is only encoded and sealed
	}
	return at[len(l.PublicURL+"/mail/"):]
}
