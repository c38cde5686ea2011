package fleet

import (
	"context"
	"log/slog"
)

// Broker is the way over servers between hosts and hub that are not ours: they keep
// what hosts publish until the hub takes it. A program is linked with one or none.
type Broker interface {
	// Dial returns a host's way over the brokers of s.URL. It needs no broker to be
	// reachable: what is handed over then fails.
	Dial(s Settings) (Transport, error)
	// Serve has the hub take what comes over the brokers of s.NATS, and returns when
	// the context ends, or when s can't be used. What else goes wrong is logged, and
	// tried again.
	Serve(ctx context.Context, s Settings, hub Receiver, log *slog.Logger) error
}

// Receiver is the hub, to which a Broker gives what hosts published. Its methods may
// be called concurrently. The brokers hold that a host publishes in no other's name:
// a host that the hub does not know is let in.
type Receiver interface {
	// Ingest returns once the hub has the batch for good. Lines that the answer rejects
	// are given to Reject. An *Error of class Refused means that the hub takes nothing of
	// this host; any other error, that the same batch is to be tried again.
	Ingest(ctx context.Context, host string, b Batch) (Answer, error)
	// Beat answers as Transport.Beat does.
	Beat(ctx context.Context, host string, b Beat) (BeatAnswer, error)
	// Reject keeps apart what the hub will never take. Whoever published it on that
	// subject need not be the host of that name.
	Reject(ctx context.Context, subject, why string, data []byte) error
}
