package jetstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sshnotify/sshnotify/internal/fleet"
)

// host is a host's end.
type host struct {
	name   string
	link   *link
	js     jetstream.JetStream
	answer time.Duration
}

// Dial returns a host's way over the brokers of s.URL.
func (b Broker) Dial(s fleet.Settings) (fleet.Transport, error) {
	name := s.Name
	if name == "" {
		full, err := os.Hostname()
		if err != nil {
			return nil, err
		}
		name, _, _ = strings.Cut(strings.ToLower(full), ".")
	}
	if !fleet.ValidName(name) {
		return nil, fmt.Errorf("%q can't be this host's name at the NATS servers: name in [hub] says another", name)
	}
	l, err := b.dial(s.URL, inboxOf(name), name, s)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(l.Conn, jetstream.WithPublishAsyncTimeout(cmp.Or(b.answer, answerTimeout)))
	if err != nil {
		l.Close()
		return nil, err
	}
	return &host{name, l, js, cmp.Or(b.answer, answerTimeout)}, nil
}

func (h *host) Close() { h.link.Close() }

// HandOver returns once the stream has the batch. Its answer has no Have: the hub has
// said nothing yet. After an error part of the batch may be there.
func (h *host) HandOver(ctx context.Context, b fleet.Batch) (fleet.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+h.answer)
	defer cancel()
	if err := h.link.connected(ctx); err != nil {
		return fleet.Answer{}, failure(err)
	}
	refused := h.link.refusals()
	answer := fleet.Answer{Have: fleet.NotAsked}
	type sent struct {
		fleet.Line
		ack jetstream.PubAckFuture
	}
	var all []sent
	reject := func(l fleet.Line, why string) {
		answer.Rejected = append(answer.Rejected, fleet.Rejected{Number: l.Number, Why: why})
	}
	for _, l := range b.Lines {
		m, err := message(h.name, b.Numbering, l)
		if err != nil {
			reject(l, err.Error())
			continue
		}
		ack, err := h.js.PublishMsgAsync(m, jetstream.WithExpectStream(stream))
		switch {
		case errors.Is(err, nats.ErrMaxPayload):
			reject(l, "longer than the NATS servers take")
		case err != nil:
			return fleet.Answer{}, failure(err)
		default:
			all = append(all, sent{l, ack})
		}
	}
	for _, s := range all {
		select {
		case <-s.ack.Ok():
			answer.Stored++
		case err := <-s.ack.Err():
			var api *jetstream.APIError
			if !errors.As(err, &api) || api.ErrorCode != tooLong {
				return fleet.Answer{}, failure(err)
			}
			reject(s.Line, "longer than the stream takes")
		case <-refused:
			return fleet.Answer{}, failure(h.link.why())
		case <-ctx.Done():
			return fleet.Answer{}, failure(ctx.Err())
		}
	}
	return answer, nil
}

// message is a line as it is published.
func message(host, numbering string, l fleet.Line) (*nats.Msg, error) {
	var e struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(l.Event, &e); err != nil {
		return nil, err
	}
	if !fleet.ValidName(e.Kind) {
		return nil, errors.New("the event has no kind") // and none of a newer version is like that
	}
	data, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	m := nats.NewMsg(events + "." + host + "." + e.Kind)
	m.Data = data
	m.Header.Set(numberingHeader, numbering)
	m.Header.Set(hostHeader, host)
	return m, nil
}

// Beat asks the hub, which has to be there.
func (h *host) Beat(ctx context.Context, b fleet.Beat) (fleet.BeatAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+h.answer)
	defer cancel()
	if err := h.link.connected(ctx); err != nil {
		return fleet.BeatAnswer{}, failure(err)
	}
	data, err := json.Marshal(b)
	if err != nil {
		return fleet.BeatAnswer{}, &fleet.Error{Err: err}
	}
	refused := h.link.refusals()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-refused:
			stop(h.link.why())
		case <-ctx.Done():
		}
	}()
	m, err := h.link.RequestWithContext(ctx, beats+"."+h.name, data)
	switch cause := context.Cause(ctx); {
	case err != nil && cause != nil:
		return fleet.BeatAnswer{}, failure(cause)
	case errors.Is(err, nats.ErrNoResponders):
		return fleet.BeatAnswer{}, &fleet.Error{Err: errors.New("no hub listens at the NATS servers")}
	case err != nil:
		return fleet.BeatAnswer{}, failure(err)
	}
	var answer beatAnswer
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return fleet.BeatAnswer{}, &fleet.Error{Err: fmt.Errorf("the hub's answer: %w", err)}
	}
	if answer.Refused != "" {
		return fleet.BeatAnswer{}, &fleet.Error{Class: fleet.Refused, Err: errors.New(answer.Refused)}
	}
	return answer.BeatAnswer, nil
}

// beatAnswer is what the hub answers to a beat.
type beatAnswer struct {
	fleet.BeatAnswer
	Refused string `json:"refused,omitempty"` // why it takes nothing of this host
}
