package main

// cards are bugs by which a card number stays, or comes back.
var cards = []mutation{
	{"N01", "a bucket leaves few numbers", "internal/issuer/fingerprint.go",
		`	buckets      = 8`,
		`	buckets      = 64`,
		[]string{"./internal/issuer"}},
	{"N02", "short numbers keep too many digits", "internal/issuer/fingerprint.go",
		`	hiddenDigits = 5`,
		`	hiddenDigits = 4`,
		[]string{"./internal/issuer"}},
	{"N03", "a number of 15 digits has a bucket", "internal/issuer/fingerprint.go",
		`	bucketDigits = 16`,
		`	bucketDigits = 15`,
		[]string{"./internal/issuer"}},
	{"N04", "the start leaves the old key in the file", "internal/keyring/file.go",
		`	if f.outdated {
		if clean`,
		`	if f.outdated && false {
		if clean`,
		[]string{"./internal/keyring"}},
	{"N05", "an import brings old fingerprints", "internal/store/feed/feed.go",
		`		e.Data, _, _ = payment.CoarsenEvent(e.Data)
		rows[i]`,
		`		_, _, _ = payment.CoarsenEvent(e.Data)
		rows[i]`,
		[]string{"./internal/store/sqlstore -run TestLoadedEventsAreCoarse/SQLite"}},
	{"N06", "a rewritten event loses its metadata", "internal/store/dynamo/coarsen.go",
		`			h.Cut = len(before)`,
		`			h.Cut += 0`,
		[]string{"./internal/store/dynamo -run TestCoarsen"}},
	{"N07", "another account's payment renames a list entry", "internal/store/sqlstore/coarsen.go",
		`	err = t.Row(find, c.account, c.mode, c.old).Scan(&id, &doc, &sum)`,
		`	err = t.Row(strings.Replace(find, "account = $1", "account || $1 <> ''", 1), c.account, c.mode, c.old).Scan(&id, &doc, &sum)`,
		[]string{"./internal/store/sqlstore -run TestCoarsen/SQLite"}},
	{"N08", "an entry without a bucket matches nothing", "internal/fraud/ruleset.go",
		`[2]string{a.Fingerprint, issuer.WithoutBucket(a.Fingerprint)}`,
		`[2]string{a.Fingerprint, issuer.WithoutBucket("")}`,
		[]string{"./internal/fraud -run TestOrderOfRules"}},
	{"N09", "a card's earlier payments do not count", "internal/fraud/score/history.go",
		`		if kind == byCard && keys.cards != 0 {`,
		`		if kind == byCard && keys.cards == 1 {`,
		[]string{"./internal/fraud/score -run Cards"}},
	{"N10", "a cleared card still has its number", "internal/issuer/card.go",
		`	clear(s.number[:])
`,
		``,
		[]string{"./internal/issuer"}},
	{"N11", "a form leaves the card", "internal/gateway/pages/submit.go",
		`	defer s.Card.Clear()
`,
		``,
		[]string{"./internal/gateway/pages -run TestI15"}},
	{"N12", "the JSON leaves the card", "internal/gateway/pages/submitjson.go",
		`	defer s.Card.Clear()
`,
		``,
		[]string{"./internal/gateway/pages -run TestI15"}},
	{"N13", "the server's buffer keeps the body", "internal/gateway/pages/submit.go",
		`		connection.Wipe(r.Context(), b[len(b):len(b)+n])
`,
		`		connection.Wipe(r.Context(), nil)
`,
		[]string{"./internal/gateway/pages -run TestI15"}},
	{"N14", "the transactions service keeps the card", "internal/rpc/transactions.go",
		`		defer card.Clear()
`,
		``,
		[]string{"./internal/rpc -run TestI15"}},
	{"N15", "a remote connector keeps the card", "internal/rpc/connector.go",
		`		defer card.Clear()
`,
		``,
		[]string{"./internal/rpc -run TestI15"}},
}
