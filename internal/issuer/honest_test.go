package issuer_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// honest are the kinds of text without a card number that people and programs write into
// references and metadata.
var honest = []struct {
	name string
	make func(*rand.Rand) string
}{
	{"order", func(r *rand.Rand) string { return fmt.Sprintf("ORD-2026-%06d", r.IntN(1e6)) }},
	{"short order", func(r *rand.Rand) string { return fmt.Sprintf("#%d", 1000+r.IntN(900_000)) }},
	{"order of a marketplace", func(r *rand.Rand) string {
		return fmt.Sprintf("%03d-%s-%s", 302+r.IntN(700), digits(r, 7), digits(r, 7))
	}},
	{"invoice", func(r *rand.Rand) string { return fmt.Sprintf("RE %d/%05d", 2020+r.IntN(10), r.IntN(1e5)) }},
	{"SAP document", func(r *rand.Rand) string { return "45" + digits(r, 8) + " / 000" + digits(r, 2) }},
	{"customer and order", func(r *rand.Rand) string { return "KD " + digits(r, 8) + " RG " + digits(r, 7) }},
	{"timestamp", func(r *rand.Rand) string { return moment(r).Format("20060102150405") }},
	{"timestamp with milliseconds", func(r *rand.Rand) string { return moment(r).Format("20060102150405.000") }},
	{"RFC 3339", func(r *rand.Rand) string { return moment(r).Format(time.RFC3339Nano) }},
	{"epoch", func(r *rand.Rand) string { return fmt.Sprint(moment(r).UnixMilli()) }},
	{"epoch in microseconds", func(r *rand.Rand) string { return fmt.Sprint(moment(r).UnixMicro()) }},
	{"epoch in nanoseconds", func(r *rand.Rand) string { return fmt.Sprint(moment(r).UnixNano()) }},
	{"dates", func(r *rand.Rand) string {
		return moment(r).Format("02.01.2006 15:04") + " – " + moment(r).Format("02.01.2006 15:04")
	}},
	{"UUID", uuid},
	{"UUID in capitals", func(r *rand.Rand) string { return "ref " + strings.ToUpper(uuid(r)) }},
	{"hexadecimal", func(r *rand.Rand) string { return of(r, "0123456789abcdef", 40) }},
	{"ULID", func(r *rand.Rand) string { return "01" + of(r, "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24) }},
	{"snowflake", func(r *rand.Rand) string { return "1" + digits(r, 18) }},
	{"EAN-13", ean},
	{"EAN-13 after words", func(r *rand.Rand) string { return "EAN: " + ean(r) + ", 2 pcs" }},
	{"ISBN-13", func(r *rand.Rand) string { return gs1([]string{"978", "979"}[r.IntN(2)] + digits(r, 9)) }},
	{"ISBN-13 in groups", func(r *rand.Rand) string {
		s := gs1("9783" + digits(r, 8))
		return s[:3] + "-" + s[3:4] + "-" + s[4:6] + "-" + s[6:12] + "-" + s[12:]
	}},
	{"IBAN", func(r *rand.Rand) string { return iban(r, "DE", digits(r, 18)) }},
	{"IBAN of a bank with 4", func(r *rand.Rand) string { return iban(r, "DE", "43060967"+digits(r, 10)) }},
	{"IBAN in groups", func(r *rand.Rand) string { return fours(iban(r, "DE", "4"+digits(r, 17))) }},
	{"IBAN, French", func(r *rand.Rand) string { return "à verser sur " + fours(iban(r, "FR", digits(r, 23))) }},
	{"IBAN, Dutch", func(r *rand.Rand) string { return fours(iban(r, "NL", "INGB"+digits(r, 10))) }},
	{"IBAN, British", func(r *rand.Rand) string { return fours(iban(r, "GB", "NWBK"+digits(r, 14))) }},
	{"creditor reference", func(r *rand.Rand) string { return fours(iban(r, "RF", digits(r, 14))) }},
	{"phone, German", func(r *rand.Rand) string { return "+4915" + digits(r, 9) }},
	{"phone, British", func(r *rand.Rand) string { return "tel. +44 7" + digits(r, 3) + " " + digits(r, 6) }},
	{"phone, American", func(r *rand.Rand) string {
		return fmt.Sprintf("+1 (%s) %s-%s", digits(r, 3), digits(r, 3), digits(r, 4))
	}},
	{"phone, French", func(r *rand.Rand) string {
		return fmt.Sprintf("06 %s %s %s %s", digits(r, 2), digits(r, 2), digits(r, 2), digits(r, 2))
	}},
	{"phone, longest", func(r *rand.Rand) string { return "+4" + digits(r, 14) }},
	{"UPS", func(r *rand.Rand) string { return "1Z" + of(r, "0123456789ABCDEFGHJKLMNPRSTUVWXYZ", 6) + digits(r, 10) }},
	{"DHL", func(r *rand.Rand) string { return "JJD0" + digits(r, 17) }},
	{"DHL, 20 digits", func(r *rand.Rand) string { return "00340434" + digits(r, 12) }},
	{"DHL Express", func(r *rand.Rand) string { return digits(r, 4) + " " + digits(r, 4) + " " + digits(r, 2) }},
	{"FedEx", func(r *rand.Rand) string { return "7" + digits(r, 11) }},
	{"FedEx in groups", func(r *rand.Rand) string { return "7" + digits(r, 3) + " " + digits(r, 4) + " " + digits(r, 4) }},
	{"USPS", func(r *rand.Rand) string { return gs1("9405" + digits(r, 17)) }},
	{"USPS in groups", func(r *rand.Rand) string { return fours(gs1("9400" + digits(r, 17))) }},
	{"post with letters", func(r *rand.Rand) string { return "RR" + digits(r, 9) + "DE" }},
	{"IMEI", func(r *rand.Rand) string {
		return luhned([]string{"35", "86", "01", "49", "99"}[r.IntN(5)] + digits(r, 12))
	}},
	{"VAT", func(r *rand.Rand) string {
		return []string{"DE" + digits(r, 9), "FR" + digits(r, 11), "NL" + digits(r, 9) + "B01", "ATU" + digits(r, 8), "IT" + digits(r, 11),
			"GB" + digits(r, 12), "SE" + digits(r, 12)}[r.IntN(7)]
	}},
	{"address", func(r *rand.Rand) string {
		return fmt.Sprintf("ada.%s+%s@shop%s.example", digits(r, 4), digits(r, 6), digits(r, 3))
	}},
	{"URL", func(r *rand.Rand) string {
		return fmt.Sprintf("https://shop.example/orders/%s?t=%d&id=%s", digits(r, 8), moment(r).Unix(), uuid(r))
	}},
	{"URL with escapes", func(r *rand.Rand) string {
		return fmt.Sprintf("https://shop.example/?q=%%20%s%%2F%s&n=%%E2%%82%%AC%s", digits(r, 4), digits(r, 4), digits(r, 3))
	}},
	{"IPv6", func(r *rand.Rand) string {
		return fmt.Sprintf("2%03x:%x:%x:%x::1", r.IntN(4096), r.IntN(65536), r.IntN(65536), r.IntN(65536))
	}},
	{"coordinates", func(r *rand.Rand) string { return fmt.Sprintf("%.14f,%.14f", r.Float64()*90, r.Float64()*180) }},
	{"fraction", func(r *rand.Rand) string { return fmt.Sprint(r.Float64()) }},
	{"JSON", func(r *rand.Rand) string {
		return fmt.Sprintf(`{"order":%d,"at":%d,"sku":[%q,%q],"price":%d.%02d,"weight":%g,"cart":%q,"utm":"gclid=%s","tel":"+49%s"}`,
			1e6+r.IntN(9e6), moment(r).UnixMilli(), ean(r), ean(r), r.IntN(500), r.IntN(100), r.Float64(), uuid(r),
			of(r, "0123456789abcdefABCDEFghij-_", 40), digits(r, 11))
	}},
	{"words", func(r *rand.Rand) string {
		return fmt.Sprintf("Rechnung %d vom %s, %d Stück à %d,%02d €", 10_000+r.IntN(90_000), moment(r).Format("2.1.2006"), 1+r.IntN(9), r.IntN(99),
			r.IntN(100))
	}},
	{"Japanese", func(r *rand.Rand) string { return fmt.Sprintf("注文番号%sの%d個", digits(r, 10), 1+r.IntN(9)) }},
	{"Arabic", func(r *rand.Rand) string { return "طلب رقم ٢٠٢٦/٠" + digits(r, 5) }},
	{"years", func(r *rand.Rand) string {
		return fmt.Sprintf("%d-%d %d-%d", 2020+r.IntN(9), 2020+r.IntN(9), 2020+r.IntN(9), 2020+r.IntN(9))
	}},
	{"our ids", func(r *rand.Rand) string { return "pay_01" + of(r, "0123456789abcdefghjkmnpqrstvwxyz", 24) }},
}

func of(r *rand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func digits(r *rand.Rand, n int) string { return of(r, "0123456789", n) }

func moment(r *rand.Rand) time.Time {
	return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.Int64N(int64(4 * 365 * 24 * time.Hour))))
}

func uuid(r *rand.Rand) string {
	s := of(r, "0123456789abcdef", 32)
	return s[:8] + "-" + s[8:12] + "-4" + s[13:16] + "-" + of(r, "89ab", 1) + s[17:20] + "-" + s[20:]
}

// ean returns an article number of a country whose prefix begins like that of a card, or another.
func ean(r *rand.Rand) string {
	return gs1([]string{"40", "42", "45", "49", "50", "5018", "5020", "5038", "30", "36", "37", "35", "54", "62", "65", "80"}[r.IntN(16)] +
		digits(r, 12))
}

// gs1 returns the digits, cut to 12 if there are no more than 16, with their check digit.
func gs1(body string) string {
	if len(body) <= 16 {
		body = body[:12]
	}
	sum := 0
	for i := range len(body) {
		d := int(body[len(body)-1-i] - '0')
		if i%2 == 0 {
			d *= 3
		}
		sum += d
	}
	return body + fmt.Sprint((10-sum%10)%10)
}

func luhned(body string) string { return body + luhnDigit(body) }

// iban returns an IBAN with its check digits (ISO 13616).
func iban(_ *rand.Rand, country, account string) string {
	n := 0
	for _, c := range account + country + "00" {
		if c >= 'A' {
			n = (n*100 + int(c-'A') + 10) % 97
		} else {
			n = (n*10 + int(c-'0')) % 97
		}
	}
	return fmt.Sprintf("%s%02d%s", country, 98-n, account)
}

// fours returns the text in groups of four.
func fours(s string) string {
	var all []string
	for ; len(s) > 4; s = s[4:] {
		all = append(all, s[:4])
	}
	return strings.Join(append(all, s), " ")
}
