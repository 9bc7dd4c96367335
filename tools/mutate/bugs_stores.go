package main

// stores are bugs in the SQL and DynamoDB stores.
var stores = []mutation{
	{"S01", "a payment is written over a newer revision", "internal/store/sqlstore/payments.go",
		` WHERE id = $7 AND account = $8 AND revision = $9"`,
		` WHERE id = $7 AND account = $8 AND $9 = $9"`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S02", "a commit that is there already is a conflict", "internal/store/sqlstore/payments.go",
		`	if now.HasChange(c.ID) {`,
		`	if now.HasChange(c.ID) && false {`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S03", "a link that has ended takes another use", "internal/store/sqlstore/payments.go",
		` AND expires_at > $4 AND (max_uses`,
		` AND $4 = $4 AND (max_uses`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S04", "a link takes more uses than it has", "internal/store/sqlstore/payments.go",
		"AND (max_uses = 0 OR uses + reserved < max_uses)`, p.ID",
		"AND max_uses = max_uses`, p.ID",
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S05", "a canceled link takes another use", "internal/store/sqlstore/payments.go",
		`AND canceled_at = 0 AND expired_at = 0 AND expires_at`,
		`AND expired_at = 0 AND expires_at`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S06", "another tenant's payment is read", "internal/store/sqlstore/payments.go",
		`FROM payments WHERE id = $1 AND account = $2", id, account))`,
		`FROM payments WHERE id = $1 AND $2 = $2", id, account))`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S07", "a payment is stored without its events", "internal/store/sqlstore/payments.go",
		`		if err := s.Append(t, all); err != nil {
			return err
		}
		return putRecord(t, c.Record)`,
		`		_ = all
		return putRecord(t, c.Record)`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S08", "a payment is stored without its idempotency record", "internal/store/sqlstore/payments.go",
		`		return putRecord(t, c.Record)
	})`,
		`		return nil
	})`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S09", "link.paid is not sent with the last use", "internal/store/sqlstore/payments.go",
		`		if full {
`,
		`		if full && false {
`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S10", "a use is given back that nobody holds", "internal/store/sqlstore/payments.go",
		`WHERE id = $1 AND account = $2 AND reserved > 0"`,
		`WHERE id = $1 AND account = $2"`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S11", "a late success takes a use that is reserved for another", "internal/store/sqlstore/payments.go",
		`(max_uses = 0 OR uses + reserved < max_uses) RETURNING`,
		`(max_uses = 0 OR uses < max_uses) RETURNING`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S12", "a damaged payment is served", "internal/store/sqldb/codec.go",
		`	if int64(crc32.Checksum(raw, castagnoli)) != sum {`,
		`	if int64(crc32.Checksum(raw, castagnoli)) != sum && false {`,
		[]string{"./internal/store/sqlstore -run F21"}},
	{"S13", "the second of two requests with one key is taken too", "internal/store/sqlstore/idempotency.go",
		`	if n == 0 {
		return idempotency.ErrRaced
	}
	return nil
}
`,
		`	if n < 0 {
		return idempotency.ErrRaced
	}
	return nil
}
`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S14", "a payment that is due is not found by the sweep", "internal/store/sqlstore/payments.go",
		`	if at := p.DueAt(); !at.IsZero() {
		return sqldb.Micros(at)
	}
`,
		``,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S15", "an event's number in its account has gaps", "internal/store/feed/feed.go",
		`events[i].Seq = last - n + int64(i) + 1`,
		`events[i].Seq = last - n + 2*int64(i) + 1`,
		[]string{"./internal/store/sqlstore -run TestStore/SQLite"}},
	{"S21", "a stale revision is committed from memory", "internal/store/dynamo/commit.go",
		`	return row.beside, ok && row.revision == revision`,
		`	return row.beside, ok`,
		[]string{"./internal/store/dynamo -run TestDynamoDB"}},
	{"S22", "a link that has ended takes another use", "internal/store/dynamo/commit.go",
		` AND l > :none AND x > :at"`,
		` AND l > :none AND :at = :at"`,
		[]string{"./internal/store/dynamo -run TestDynamoDB"}},
	{"S23", "a link takes more uses than it has", "internal/store/dynamo/commit.go",
		`AND attribute_not_exists(g) AND l > :none AND`,
		`AND attribute_not_exists(g) AND :none = :none AND`,
		[]string{"./internal/store/dynamo -run TestDynamoDB"}},
	{"S24", "a commit that is there already is a conflict", "internal/store/dynamo/commit.go",
		`	case is.HasChange(c.ID):
		return beside{}, true, nil
`,
		``,
		[]string{"./internal/store/dynamo -run TestDynamoDB"}},
}
