package jetstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/mod/semver"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
)

// oldest is the first version without two holes: rights by a certificate's name could
// be got around (GHSA-3f24-pcvm-5jqc), and a restore could overwrite other streams
// (GHSA-9983-vrx2-fg9c).
const oldest = "v2.12.6"

// Of the hub's taking.
const (
	takeMax    = 500                  // messages at a time
	takeWithin = 2 * time.Millisecond // of each other
	// What a broker that died had on its way comes again after ackWait. So does what
	// the hub needs longer for, which does no harm.
	ackWait    = 15 * time.Second
	maxPending = 2000             // messages that were not acknowledged
	again      = 10 * time.Second // after what the hub can't take
	// Two heartbeats that do not come mean that the consumer has no leader.
	pullFor   = 10 * time.Second
	heartbeat = 2 * time.Second
	pauseMin  = time.Second
	pauseMax  = 30 * time.Second

	// behind is from how many waiting messages on what is fresh is taken beside them.
	behind    = 1000
	lookEvery = 5 * time.Second
)

// hub is the hub's end.
type hub struct {
	link     *link
	js       jetstream.JetStream
	replicas int
	fresh    time.Duration // how long an event is fresh
	to       fleet.Receiver
	log      *slog.Logger
}

// Serve has the hub take what comes over the brokers of s.NATS.
func (b Broker) Serve(ctx context.Context, s fleet.Settings, to fleet.Receiver, log *slog.Logger) error {
	l, err := b.dial(s.NATS, inboxes, "hub", s)
	if err != nil {
		return err
	}
	defer l.Close()
	h := &hub{link: l, replicas: max(s.Replicas, 1), fresh: cmp.Or(b.fresh, fleet.FreshFor), to: to, log: log}
	if s.Replicas == 0 {
		h.replicas = 3
	}
	if h.js, err = jetstream.New(l.Conn); err != nil {
		return err
	}
	defer l.FlushTimeout(pauseMin) // of what was said last
	for pause := pauseMin; ctx.Err() == nil; pause = min(2*pause, pauseMax) {
		begun := time.Now()
		err := h.serve(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(begun) > pauseMax {
			pause = pauseMin
		}
		if why := l.why(); errors.Is(why, nats.ErrPermissionViolation) {
			err = why // what was asked only timed out
		}
		said := []any{"error", err}
		if hint := failure(err).Hint; hint != "" {
			said = append(said, "hint", hint)
		}
		log.Error("nothing is taken from NATS", said...)
		wait(ctx, pause/2+rand.N(pause/2))
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// serve takes what comes, until something goes wrong.
func (h *hub) serve(ctx context.Context) error {
	if err := h.link.connected(ctx); err != nil {
		return err
	}
	if err := h.newEnough(); err != nil {
		return err
	}
	s, err := h.stream(ctx)
	if err != nil {
		return err
	}
	c, err := s.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
		// Or a message that failed three times would be there, and never seen again.
		MaxDeliver: -1, MaxAckPending: maxPending,
	})
	if err != nil {
		return fmt.Errorf("consumer %s: %w", consumer, err)
	}
	ctx, stop := context.WithCancel(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer stop()
	incoming := make(chan *nats.Msg, maxPending)
	sub, err := h.link.ChanSubscribe(beats+".*", incoming)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	others.Go(func() { h.answerBeats(ctx, c, incoming) })
	others.Go(func() { h.takeFresh(ctx, s, c) })
	return h.takeAll(ctx, c)
}

func (h *hub) newEnough() error {
	if v := "v" + h.link.ConnectedServerVersion(); v != "v" && semver.Compare(v, oldest) < 0 {
		return fmt.Errorf("the server %s is nats-server %s, which lets hosts get around their rights: at least %s is needed", h.link.ConnectedServerName(), v[1:], oldest[1:])
	}
	return nil
}

// Of the stream. A quota a subject is one a host and kind, and no host has more kinds
// than kinds: what it publishes beyond is refused, and its spool keeps it. The quota
// counts what maxAge keeps, not what waits.
const (
	maxAge        = 14 * 24 * time.Hour
	maxPerSubject = 100_000
	maxHeaders    = 1 << 10
)

// kinds are those of the events that hosts hand over.
func kinds() []event.Kind {
	return []event.Kind{event.KindLogin, event.KindLogout, event.KindAttack, event.KindMatch, event.KindAlert, event.KindDigest, event.KindWitness, event.KindGate}
}

func (h *hub) wanted() jetstream.StreamConfig {
	var subjects []string
	for _, k := range kinds() {
		subjects = append(subjects, events+".*."+string(k))
	}
	return jetstream.StreamConfig{
		Name: stream, Description: "events of hosts, which sshnotify's hub takes", Subjects: subjects,
		Storage: jetstream.FileStorage, Replicas: h.replicas,
		// A work queue would refuse a second reader.
		Retention: jetstream.LimitsPolicy, MaxAge: maxAge, Discard: jetstream.DiscardNew,
		MaxMsgsPerSubject: maxPerSubject, DiscardNewPerSubject: true,
		MaxMsgSize: fleet.MaxLine + maxHeaders,
		DenyDelete: true, DenyPurge: true,
	}
}

// stream makes the stream, or looks at the one that is there and says what differs.
func (h *hub) stream(ctx context.Context) (jetstream.Stream, error) {
	want := h.wanted()
	s, err := h.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = h.js.CreateStream(ctx, want)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", stream, err)
	}
	for _, d := range differences(s.CachedInfo().Config, want) {
		h.log.Warn("the stream "+stream+" is not as the hub would make it", "differs", d)
	}
	return s, nil
}

// differences lists what matters of a stream's settings and is not as wanted. Limits
// of its size are the owner's.
func differences(got, want jetstream.StreamConfig) (all []string) {
	differ := func(what string, got, want any) {
		if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
			all = append(all, fmt.Sprintf("%s is %s, not %s", what, g, w))
		}
	}
	differ("subjects", got.Subjects, want.Subjects)
	differ("retention", got.Retention, want.Retention)
	differ("storage", got.Storage, want.Storage)
	differ("replicas", got.Replicas, want.Replicas)
	differ("discard", got.Discard, want.Discard)
	differ("max_age", got.MaxAge, want.MaxAge)
	differ("max_msg_size", got.MaxMsgSize, want.MaxMsgSize)
	differ("discard_new_per_subject", got.DiscardNewPerSubject, want.DiscardNewPerSubject)
	differ("deny_delete", got.DenyDelete, want.DenyDelete)
	differ("deny_purge", got.DenyPurge, want.DenyPurge)
	differ("no_ack", got.NoAck, want.NoAck)
	// By headers of these a host could have others' events removed.
	differ("allow_rollup_hdrs", got.AllowRollup, false)
	differ("allow_msg_ttl", got.AllowMsgTTL, false)
	differ("allow_msg_schedules", got.AllowMsgSchedules, false)
	differ("allow_msg_counter", got.AllowMsgCounter, false)
	return all
}

// takeAll takes what the durable consumer has, and acknowledges it once the hub has
// it for good.
func (h *hub) takeAll(ctx context.Context, c jetstream.Consumer) error {
	return h.each(ctx, c, func(batch []jetstream.Msg) error {
		if err := h.newEnough(); err != nil {
			return err
		}
		h.take(ctx, batch, true)
		return nil
	})
}

// each gives what comes, as many at a time as come together.
func (h *hub) each(ctx context.Context, c jetstream.Consumer, do func([]jetstream.Msg) error) error {
	all, err := c.Messages(jetstream.PullMaxMessages(takeMax), jetstream.PullExpiry(pullFor), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return err
	}
	defer all.Stop()
	for {
		m, err := all.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		batch := []jetstream.Msg{m}
		for end := time.Now().Add(takeWithin); len(batch) < takeMax; batch = append(batch, m) {
			if m, err = all.Next(jetstream.NextMaxWait(max(time.Until(end), time.Microsecond))); err != nil {
				break // what is wrong is so the next time
			}
		}
		if err := do(batch); err != nil {
			return err
		}
	}
}

// run is what the lines of a batch have in common.
type run struct{ host, numbering string }

// line is a message, and the line that it is.
type line struct {
	fleet.Line
	msg jetstream.Msg
}

// take gives messages to the hub. Without settle they are taken from beside their turn,
// and neither acknowledged nor rejected: that is done in their turn.
func (h *hub) take(ctx context.Context, batch []jetstream.Msg, settle bool) {
	runs := map[run][]line{}
	for _, m := range batch {
		host, numbering, l, err := read(m.Subject(), m.Headers(), m.Data())
		if err == nil {
			r := run{host, numbering}
			runs[r] = append(runs[r], line{l, m})
		} else if settle {
			h.reject(ctx, m, err.Error())
		}
	}
	var all sync.WaitGroup
	for r, lines := range runs {
		all.Go(func() {
			for len(lines) > 0 {
				n := fits(lines)
				h.ingest(ctx, r, lines[:n], settle)
				lines = lines[n:]
			}
		})
	}
	all.Wait()
}

// fits is how many of the lines make one batch.
func fits(lines []line) int {
	n, size := 0, 0
	for n < min(len(lines), fleet.MaxBatch) {
		if size += len(lines[n].Event); n > 0 && size > fleet.MaxBody {
			break
		}
		n++
	}
	return n
}

// read returns the line that a message is, and whose. The server itself puts its own
// answer on any subject that a host names as its reply subject, so that a subject alone
// says nothing of who published.
func read(to string, header nats.Header, data []byte) (host, numbering string, l fleet.Line, err error) {
	subject := strings.Split(to, ".")
	if len(subject) != 3 || !fleet.ValidName(subject[1]) {
		return "", "", l, errors.New("the subject names no host")
	}
	host, numbering = subject[1], header.Get(numberingHeader)
	switch said := header.Get(hostHeader); {
	case numbering == "" || len(numbering) > maxNumbering:
		return "", "", l, errors.New("it is no line of a host's")
	case said != host:
		return "", "", l, fmt.Errorf("it names the host %.63q", said)
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return "", "", l, errors.New("it is no line of a host's")
	}
	if l.Number < 1 || len(l.Event) == 0 {
		return "", "", l, errors.New("it has no event, or no number")
	}
	return host, numbering, l, nil
}

// ingest gives lines to the hub. What it can't take now comes again after a while, so
// that nothing waits here: another host's lines may be better off.
func (h *hub) ingest(ctx context.Context, r run, lines []line, settle bool) {
	b := fleet.Batch{Numbering: r.numbering}
	for _, l := range lines {
		b.Lines = append(b.Lines, l.Line)
	}
	answer, err := h.to.Ingest(ctx, r.host, b)
	var said *fleet.Error
	switch {
	case !settle:
	case ctx.Err() != nil && err != nil:
		for _, l := range lines {
			_ = l.msg.NakWithDelay(pauseMin) // to the next hub, and not this one, or after ackWait
		}
	case err == nil:
		h.settle(ctx, lines, answer.Rejected)
	case errors.As(err, &said) && said.Class == fleet.Refused:
		for _, l := range lines {
			h.reject(ctx, l.msg, said.Error())
		}
	default:
		pause := again
		if said != nil && said.RetryAfter > 0 {
			pause = said.RetryAfter
		}
		h.log.Warn("the hub can't keep what came from NATS", "host", r.host, "error", err, "again", pause)
		for _, l := range lines {
			_ = l.msg.NakWithDelay(pause)
		}
	}
}

// settle acknowledges what the hub has. An acknowledgement that is lost has the
// message come again.
func (h *hub) settle(ctx context.Context, lines []line, rejected []fleet.Rejected) {
	why := map[int64]string{}
	for _, r := range rejected {
		why[r.Number] = r.Why
	}
	for _, l := range lines {
		if why, ok := why[l.Number]; ok {
			h.reject(ctx, l.msg, why)
		} else {
			_ = l.msg.Ack()
		}
	}
}

// reject has the hub keep apart what it will never take.
func (h *hub) reject(ctx context.Context, m jetstream.Msg, why string) {
	if err := h.to.Reject(ctx, m.Subject(), why, m.Data()); err != nil {
		h.log.Warn("what came from NATS can't be kept apart", "error", err)
		_ = m.NakWithDelay(pauseMax)
		return
	}
	_ = m.TermWithReason(why)
}

// takeFresh takes what is fresh beside its turn, while so much waits that the turn is
// far off. The hub sees it again in its turn, and then knows it.
func (h *hub) takeFresh(ctx context.Context, s jetstream.Stream, c jetstream.Consumer) {
	for ; ctx.Err() == nil; wait(ctx, lookEvery) {
		if far, err := isBehind(ctx, c); err != nil || !far {
			continue
		}
		from := time.Now().Add(-h.fresh)
		fresh, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from})
		if err != nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		var reads sync.WaitGroup
		reads.Go(func() {
			_ = h.each(ctx, fresh, func(batch []jetstream.Msg) error {
				h.take(ctx, batch, false)
				return nil
			})
			stop()
		})
		for ctx.Err() == nil {
			wait(ctx, lookEvery)
			if far, err := isBehind(ctx, c); err == nil && !far {
				break
			}
		}
		stop()
		reads.Wait()
	}
}

func isBehind(ctx context.Context, c jetstream.Consumer) (bool, error) {
	info, err := c.Info(ctx)
	if err != nil {
		return false, err
	}
	return info.NumPending > behind, nil
}

// answerBeats answers the beats of hosts, all that wait at a time.
func (h *hub) answerBeats(ctx context.Context, c jetstream.Consumer, incoming <-chan *nats.Msg) {
	for {
		var all []*nats.Msg
		select {
		case <-ctx.Done():
			return
		case m := <-incoming:
			all = append(all, m)
		}
		for more := true; more; {
			select {
			case m := <-incoming:
				all = append(all, m)
			default:
				more = false
			}
		}
		// What was published before the beat is at the hub if nothing waits now.
		info, err := c.Info(ctx)
		whole := err == nil && info.NumPending == 0 && info.NumAckPending == 0
		for _, m := range all {
			h.answerBeat(ctx, m, whole)
		}
	}
}

// answerBeat answers a beat. Only if the hub has the whole stream can it say what it
// has of a host.
func (h *hub) answerBeat(ctx context.Context, m *nats.Msg, whole bool) {
	host := strings.TrimPrefix(m.Subject, beats+".")
	// The hub may publish on every subject: it must not do so in a host's place.
	if !fleet.ValidName(host) || !strings.HasPrefix(m.Reply, inboxOf(host)+".") {
		return
	}
	var b fleet.Beat
	if err := json.Unmarshal(m.Data, &b); err != nil {
		_ = h.to.Reject(ctx, m.Subject, "it is no beat", m.Data)
		return
	}
	if !whole {
		b.Number = fleet.NotAsked
	}
	var answer beatAnswer
	var refused *fleet.Error
	var err error
	switch answer.BeatAnswer, err = h.to.Beat(ctx, host, b); {
	case errors.As(err, &refused) && refused.Class == fleet.Refused:
		answer.Refused = refused.Error()
	case err != nil:
		return // no answer: the hub is away
	case !whole:
		answer.Have = fleet.NotAsked
	}
	if data, err := json.Marshal(answer); err == nil {
		_ = m.Respond(data)
	}
}
