package main

// people are bugs in what keeps strangers from signing in as somebody, and users from being kept out.
var people = []mutation{
	{"G01", "a guess is counted after it is compared", "internal/merchant/guess.go",
		`	was, is, err := l.count(ctx, key, came, patient)
	if err != nil {
		return err
	}

	v, err := compare()
`,
		`	was, err := l.access.GuessesOf(ctx, key)
	if err == nil {
		err = patient(was, came)
	}
	if err != nil {
		return err
	}

	v, err := compare()
	is := was
	if v == wrong {
		if _, _, err := l.count(ctx, key, came, patient); err != nil {
			return err
		}
	}
`,
		[]string{"./internal/merchant -run AtOnce"}},
	{"G02", "a right guess stays counted", "internal/merchant/guess.go",
		`l.giveBack(ctx, key, is, was)`,
		`l.giveBack(ctx, key, was, was)`,
		[]string{"./internal/merchant -run AtOnce"}},
	{"G03", "a known device waits for strangers' failures", "internal/merchant/signin.go",
		`known := l.knownDevice(c.user, client.Device); known != "" {`,
		`known := l.knownDevice(c.user, client.Device); known == "-" {`,
		[]string{"./internal/merchant -run Device"}},
	{"G04", "a device is known after a change of the password", "internal/merchant/device.go",
		`	if d.User != u.ID || !bytes.Equal(d.Password, passwordMark(u.PasswordHash)) {`,
		`	if d.User != u.ID || bytes.Equal(d.Password, nil) {`,
		[]string{"./internal/merchant -run Device"}},
	{"G05", "a device is known as another user's", "internal/merchant/device.go",
		`	if d.User != u.ID || !bytes.Equal(d.Password, passwordMark(u.PasswordHash)) {`,
		`	if bytes.Equal(d.Password, nil) {`,
		[]string{"./internal/merchant -run Device"}},
	{"G06", "a proof of the password is good for any number of codes", "internal/merchant/guess.go",
		`	if g.Failures >= codesPerProof {`,
		`	if g.Failures >= 1000*codesPerProof {`,
		[]string{"./internal/merchant -run Proof"}},
	{"G07", "a proof of the password gives another proof", "internal/merchant/signin.go",
		`	case r.Proof != "":
		return SignedIn{Proof: r.Proof}, nil
`,
		``,
		[]string{"./internal/merchant -run Proof"}},
	{"G08", "two guesses count as one", "internal/store/sqlstore/access.go",
		` WHERE who = $3 AND failures = $4 AND at = $5"`,
		` WHERE who = $3 AND $4 = $4 AND $5 = $5"`,
		[]string{"./internal/store/sqlstore -run TestMerchants/SQLite"}},
	{"G09", "strangers take the slots of known users", "internal/merchant/hashing.go",
		`	case s.known && h.reserved > 0:`,
		`	case h.reserved > 0:`,
		[]string{"./internal/merchant -run Stranger"}},
	{"G10", "networks do not take turns", "internal/merchant/hashing.go",
		`return share{party: network(address)}`,
		`return share{party: network(address)[:0]}`,
		[]string{"./internal/merchant -run Stranger"}},
	{"G11", "a password has as many forms as compositions", "internal/spelling/spelling.go",
		`	return norm.NFC.String(strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Zs, c) {`,
		`	return string(strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Zs, c) {`,
		[]string{"./internal/merchant -run Composition"}},
	{"G12", "an old hash is not renewed", "internal/merchant/signin.go",
		`		if old {`,
		`		if old && !match {`,
		[]string{"./internal/merchant -run OldHash"}},
	{"G13", "a reset takes a common password", "internal/merchant/reset.go",
		`	if l.common(next, u, account) {`,
		`	if l.common(next, u, account) && next == "" {`,
		[]string{"./internal/merchant -run Common"}},
}
