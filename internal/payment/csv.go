package payment

// CSVHeader is the first row of a table of payments. It is stable: columns are only ever added
// at its end.
var CSVHeader = []string{
	"id", "createdAt", "updatedAt", "status", "mode", "link", "amount", "currency", "capturedAmount", "refundedAmount",
	"declineCode", "cardBrand", "cardLast4", "payerName", "payerEmail", "issuer", "realm", "reference",
}

// CSVRow returns the row of a payment. Payers choose their own names, so a caller that writes
// for a spreadsheet must escape cells that would run as formulas.
func CSVRow(o PaymentObject) []string {
	var decline, brand, last4, name, email string
	if o.Decline != nil {
		decline = o.Decline.Code
	}
	if o.Card != nil {
		brand, last4 = o.Card.Brand, o.Card.Last4
	}
	if o.Payer != nil {
		name, email = o.Payer.Name, o.Payer.Email
	}
	return []string{
		o.ID, o.CreatedAt, o.UpdatedAt, string(o.Status), o.Mode, o.Link, o.Amount, string(o.Currency), o.CapturedAmount, o.RefundedAmount,
		decline, brand, last4, name, email, o.Issuer, o.Realm, o.Reference,
	}
}
