package fleet

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// OrderPoll asks the hub for a host's orders.
type OrderPoll struct {
	Allow []string `json:"allow"`         // what the host takes
	Got   []string `json:"got,omitempty"` // the nonces of those that it has from an earlier answer
}

// OrderAnswer is a host's orders, as order.Open reads them; none: there were none within
// OrderWait.
type OrderAnswer struct {
	Orders []json.RawMessage `json:"orders,omitempty"`
}

// OrderWait is how long the hub waits for an order before it answers that there is none.
const OrderWait = 45 * time.Second

// MaxOrdersAnswer is how many come at a time.
const MaxOrdersAnswer = 4

// MaxEvidence is how much evidence a host may hand over at a time, in bytes.
const MaxEvidence = 8 << 20

// EvidenceAnswer is the hub's word that it has a host's evidence for good.
type EvidenceAnswer struct {
	Receipt []byte `json:"receipt"` // see order.ReceiptFits
}

// Orders asks for the host's orders, and returns when there are some, or when the hub
// has waited for long. Errors are *Error.
func (h *HTTPS) Orders(ctx context.Context, p OrderPoll) (a OrderAnswer, err error) {
	err = h.post(ctx, PathOrders, p, &a)
	return a, err
}

// Evidence hands evidence over: of an order, by its nonce, or of an event, by its id
// here. It returns the hub's receipt once the hub has it for good; see
// order.ReceiptFits. Errors are *Error.
func (h *HTTPS) Evidence(ctx context.Context, nonce, event string, data []byte) (receipt []byte, err error) {
	header := http.Header{"Content-Type": {"application/json"}}
	if nonce != "" {
		header.Set(HeaderOrder, nonce)
	} else {
		header.Set(HeaderEvent, event)
	}
	var a EvidenceAnswer
	err = h.ask(ctx, PathEvidence, header, data, &a)
	return a.Receipt, err
}
