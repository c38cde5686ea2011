package asked

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

const (
	// maxEnvelope is what one message of the socket may have: it repeats the message
	// whose button was pressed.
	maxEnvelope = 1 << 20
	maxOpened   = 64 << 10
	// steady is how long a socket must have held for the next one to be opened at once.
	// Slack closes each after an hour or so.
	steady = time.Minute
	// saidDown is after how many tries in vain it is said that buttons do nothing.
	saidDown = 4
)

var (
	errReopened = errors.New("the socket was closed")
	errNoSocket = errors.New("no socket that may be opened in the answer of Slack")
	errSilent   = errors.New("the socket ended")
)

// listen keeps one socket of the app open, and takes the clicks that come over it.
// Each has a client of its own, because the library's would come back without a
// pause, and wait for as long as it is told to.
func (d *Desk) listen(ctx context.Context) {
	for tries, said := 0, false; ; {
		began := time.Now()
		greeted, pause, err := d.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if greeted {
			tries, said = 0, false
		}
		if greeted && time.Since(began) >= steady {
			continue
		}
		tries++
		wait := max(outbound.Backoff(tries, rand.Float64), pause)
		d.o.Log.Warn("no socket to Slack", "again_in", wait.Round(time.Second), "error", err)
		if tries >= saidDown && !said {
			said = true
			d.o.Alarm("there is no socket to Slack, so that buttons do nothing; sshnotify ack works: " + event.Clean(err.Error(), 200))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// connect opens a socket and works until it ends. greeted: Slack had it open; pause
// is how long Slack wants to be left alone.
func (d *Desk) connect(ctx context.Context) (greeted bool, pause time.Duration, err error) {
	team, _, err := d.Who(ctx)
	if err != nil {
		return false, 0, err
	}
	var dialogs sync.WaitGroup
	defer dialogs.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	open := &opener{client: d.app.Client}
	api := slack.New("", slack.OptionAppLevelToken(d.app.Token.Reveal()), slack.OptionAPIURL(d.app.API.Reveal()+"/"), slack.OptionHTTPClient(open))
	c := socketmode.New(api, socketmode.OptionDialer(d.app.Client.WebSocket()), socketmode.OptionReadLimit(maxEnvelope))
	ended := make(chan error, 1)
	go func() { ended <- c.RunContext(ctx) }()
	end := func(err error) (bool, time.Duration, error) {
		cancel()
		<-ended // the socket is closed
		return greeted, time.Duration(open.pause.Load()), err
	}
	for connecting := 0; ; {
		var ev socketmode.Event
		select {
		case <-ctx.Done():
			return end(ctx.Err())
		case err := <-ended:
			ended <- err
			return end(cmpErr(err))
		case ev = <-c.Events:
		}
		switch ev.Type {
		case socketmode.EventTypeConnecting:
			if connecting++; connecting > 1 {
				return end(errReopened)
			}
		case socketmode.EventTypeConnectionError:
			if e, ok := ev.Data.(*slack.ConnectionErrorEvent); ok {
				return end(cmpErr(e.ErrorObj))
			}
			return end(errSilent)
		case socketmode.EventTypeHello:
			greeted = true
			d.greet(team, ev.Request)
		default:
			if ev.Request == nil || ev.Request.EnvelopeID == "" {
				continue
			}
			var then any     // shown in place of a dialog
			var begin func() // once Slack knows that the click arrived
			if pressed, ok := ev.Data.(slack.InteractionCallback); ok {
				if then, begin, err = d.interact(ctx, pressed); err != nil {
					continue // Slack shows whoever pressed that nothing happened
				}
			}
			if err := c.AckCtx(ctx, ev.Request.EnvelopeID, then); err != nil {
				return end(err)
			}
			if begin != nil {
				dialogs.Go(begin)
			}
		}
	}
}

// interact takes what somebody did: a press, or a dialog that they send off. then is what
// Slack is to show in its place, and begin what is to be done once Slack has been told.
func (d *Desk) interact(ctx context.Context, c slack.InteractionCallback) (then any, begin func(), err error) {
	if c.Type == slack.InteractionTypeViewSubmission {
		then, err = d.submit(ctx, c)
	} else {
		var what outcome
		if what, err = d.click(ctx, c); what == counts && err == nil && c.ActionCallback.BlockActions[0].ActionID == string(event.ButtonRespond) {
			begin = func() { d.choose(ctx, c) }
		}
	}
	signal(d.answered)
	return then, begin, err
}

func cmpErr(err error) error {
	if err == nil {
		return errSilent
	}
	return err
}

// greet takes what Slack says when a socket is open.
func (d *Desk) greet(team string, r *socketmode.Request) {
	if r == nil {
		return
	}
	d.mu.Lock()
	d.us = us{team, r.ConnectionInfo.AppID}
	d.mu.Unlock()
	d.o.Log.Info("a socket to Slack is open", "app", event.Clean(r.ConnectionInfo.AppID, maxWord), "sockets", r.NumConnections)
	if r.NumConnections > 1 {
		d.o.Log.Warn("the Slack app has other sockets: Slack may give a click to another program, where it does nothing. One host or hub may have the app-level token", "sockets", r.NumConnections)
	}
}

// opener asks Slack where the socket is, once, by the rules of every request.
type opener struct {
	client *outbound.Client
	asked  atomic.Bool
	pause  atomic.Int64 // time.Duration
}

// Do is what the library calls in place of an http.Client.
func (o *opener) Do(r *http.Request) (*http.Response, error) {
	if o.asked.Swap(true) {
		return nil, errReopened
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	answer, err := o.client.Do(r.Context(), outbound.Request{
		Method: r.Method, Purpose: "Slack socket", URL: outbound.NewSecret(r.URL.String()), Header: r.Header, Body: body, MaxBody: maxOpened,
	})
	if err != nil {
		return nil, err
	}
	o.pause.Store(int64(answer.RetryAfter))
	var opened struct {
		OK  bool   `json:"ok"`
		URL string `json:"url"`
	}
	if json.Unmarshal(answer.Body, &opened) == nil && opened.OK {
		// Whoever can't read it would quote it, with the ticket in it.
		if u, err := url.Parse(opened.URL); err != nil || u.Scheme != "wss" && u.Scheme != "ws" || u.Host == "" || u.User != nil {
			return nil, errNoSocket
		}
	}
	return &http.Response{
		StatusCode: answer.Status, Status: http.StatusText(answer.Status), Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(answer.Body)), Request: r,
	}, nil
}
