package dynamo

// dictionary is what documents and events have in common. The compressor starts as if it had just
// seen it, so an item only costs its own contents. It belongs to blobs of version 1 and must
// never change: a better one needs a new version. What is most common is last.
const dictionary = `"requires_action""unknown""authorized""capturing""voiding""partially_refunded""refunded""declined""canceled""late""review"` +
	`"merchant""sweep""declineCode":"card_declined","declineMessage":"insufficient_funds""actionUrl":"https://"reviewReason":"amount_mismatch"` +
	`"unresolved""voidFrom":"authorized""capturing":"captures":1,"refunds":[{"id":"rfd_","minor":,"status":"pending","createdAt":"2026-01-0` +
	`"hold":"pay_","dueAt":"2026-"asked":1,"status":"succeeded""status":"failed","code":""reason":"refund of 10.00 EUR""reason":"refunded"` +
	`"event":"refund.created","refund":"rfd_"event":"refund.succeeded""event":"refund.failed""kind":"refund","phase":"pending""resolves":"pay_` +
	`"held":"kind":"release","phase":"voided""kind":"authorise","phase":"pending""reason":"approved","event":"payment.authorized"` +
	`"reason":"capture asked by the merchant""reason":"captured""void asked by the merchant""voided""reason":"declined: card_declined"` +
	`"event":"payment.declined""event":"payment.unknown","reason":"no clear answer: ambiguous""event":"payment.requires_action"` +
	`"reason":"the issuer asks for a challenge""event":"payment.canceled""event":"payment.late""event":"payment.review"` +
	`"USD""GBP""JPY""CHF""minMinor":100,"maxMinor":10000"redirectUrl":"https://www.example.com/"late":"hold""late":"refund""mode":"live"` +
	`"brand":"mastercard""brand":"amex""unpayableReason":"link_expired""unpayableReason":"link_canceled"link.expired` + "\n" + `link.canceled` + "\n" +
	`{"id":"lnk_06h","account":"acct_06h","mode":"test","bucket":1,"payee":"","amount":{"minor":1000,"currency":"EUR"},"date":"2026-01-02T00:00:00.000Z",` +
	`"paymentMethod":"pm_06h","issuer":"simulator","realm":"shop","description":"","reference":"order-","metadata":{"customer":"","order":""},"maxUses":1,` +
	`"expiresAt":"2026-01-02T00:00:00.000Z","redirectUrl":"https://","capture":"automatic","latePolicy":"accept","token":"AX","createdAt":"2026-01-02T00:00:00.000Z"}` +
	`link.created` + "\n" + `{"id":"lnk_06h","object":"link","url":"https://pay./l/AX","status":"open","amount":"10.00","currency":"EUR","realm":"shop",` +
	`"paymentMethod":"pm_06h","description":null,"reference":null,"metadata":{},"maxUses":1,"uses":0,"expiresAt":"2026-01-02T00:00:00.000Z",` +
	`"date":"2026-01-02T00:00:00.000Z","redirectUrl":null,"capture":"automatic","latePolicy":"accept","mode":"test","createdAt":"2026-01-02T00:00:00.000Z",` +
	`"links":{"self":"/api/links/lnk_06h","url":"https://pay./l/AX","qr":"/api/links/lnk_06h/qr.svg"}}` +
	`link.paid` + "\n" + `","status":"paid","unpayableReason":"link_paid","amount":"` +
	`{"id":"pay_06h","account":"acct_06h","mode":"test","link":"lnk_06h","attempt":"","issuer":"simulator","amount":{"minor":1000,"currency":"EUR"},` +
	`"capture":"automatic","latePolicy":"accept","linkEndsAt":"2026-01-02T00:00:00.000Z","linkUses":1,"cardBrand":"visa","cardLast4":"4242",` +
	`"payerName":"","payerEmail":"@gmail.com","realm":"shop","reference":"order-","metadata":{"customer":"","order":""},"createdAt":"2026-01-02T00:00:00.000000Z",` +
	`"updatedAt":"2026-01-02T00:00:00.000000Z","status":"succeeded","try":1,"issuerReference":"sim_","authorizedMinor":1000,"capturedMinor":1000,` +
	`"refundedMinor":0,"useReserved":false,"log":[{"seq":1,"at":"2026-01-02T00:00:00.000000Z","from":"","to":"created","actor":"payer","reason":"submitted",` +
	`"event":"payment.created","authorized":0,"captured":0,"refunded":0,"change":"chg_06h","hash":"0123456789abcdef"},{"seq":2,"at":"2026-01-02T00:00:00.000000Z",` +
	`"from":"created","to":"processing","actor":"payer","reason":"sending to the issuer","event":"payment.processing","authorized":0,"captured":0,"refunded":0,` +
	`"change":"chg_06h","hash":"fedcba9876543210"},{"seq":3,"at":"2026-01-02T00:00:00.000000Z","from":"processing","to":"succeeded","actor":"issuer",` +
	`"reason":"approved and captured","issuerReference":"sim_","event":"payment.succeeded","authorized":1000,"captured":1000,"refunded":0,"transfers":[{"id":"pay_06h` +
	`.3.0","kind":"capture","phase":"posted","currency":"EUR","entries":[{"account":"issuer:simulator:receivable","minor":1000},{"account":"merchant:acct_06h` +
	`:funds","minor":-1000}]}],"change":"chg_06h","hash":""}],"work":{"owner":"chg_06h","until":"2026-01-02T00:00:00.000000Z","nextAt":"2026-01-02T00:00:00.000000Z"},` +
	`"work":{},"lastChange":"chg_06h"}payment.created` + "\n" + `{"id":"pay_06h","object":"payment","link":"lnk_06h","amount":"10.00","currency":"EUR",` +
	`"capturedAmount":"0.00","refundedAmount":"0.00","status":"created","card":{"brand":"visa","last4":"4242"},"payer":{"name":"","email":"@gmail.com"},` +
	`"issuer":"simulator","realm":"shop","reference":"order-","metadata":{"customer":"","order":""},"mode":"test","createdAt":"2026-01-02T00:00:00.000Z",` +
	`"updatedAt":"2026-01-02T00:00:00.000Z","links":{"link":"/api/links/lnk_06h","self":"/api/payments/pay_06h"}}payment.processing` + "\n" +
	`","status":"processing","card":payment.succeeded` + "\n" + `","capturedAmount":"10.00","refundedAmount":"0.00","status":"succeeded","card":{"brand":"visa"`
