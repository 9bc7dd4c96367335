package lake

// The rows, for reading them back.
type (
	LinkRow     = linkRow
	PaymentRow  = paymentRow
	TransferRow = transferRow
	RefundRow   = refundRow
	DisputeRow  = disputeRow
)

// ErrMoved ends a run whose checkpoint another process moved.
var ErrMoved = errMoved
