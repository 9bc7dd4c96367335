package lake

// The rows, for who reads them back.
type (
	LinkRow     = linkRow
	PaymentRow  = paymentRow
	TransferRow = transferRow
	RefundRow   = refundRow
	DisputeRow  = disputeRow
)

// ErrMoved ends a run whose checkpoint somebody moved.
var ErrMoved = errMoved
