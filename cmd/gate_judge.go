package cmd

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/gate"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/store"
)

// judging is what the worker judges logins by.
type judging struct {
	set deliver.Settings
	db  *store.DB
}

// answerGate answers the second step's questions until stop, or the end of ctx.
var errNotLoaded = errors.New("no settings are loaded")

func (o *deliverOptions) answerGate(ctx context.Context, log *slog.Logger, stateDir string) (stop func(), err error) {
	l, err := gate.Listen(stateDir)
	if err != nil {
		return nil, err
	}
	ctx, stop = context.WithCancel(ctx)
	go gate.Serve(ctx, l, log, func(ctx context.Context, e event.Event) (gate.Opinion, error) {
		j := o.judging.Load()
		if j == nil {
			return gate.Opinion{}, errNotLoaded
		}
		return j.opinion(ctx, e)
	})
	return stop, nil
}

// attackMemory is how long somebody who attacked stays suspicious.
const attackMemory = 24 * time.Hour

// opinion is what the memory and the policy say of a login that is to be.
func (j *judging) opinion(ctx context.Context, e event.Event) (gate.Opinion, error) {
	set := j.set
	if set.Host != "" {
		e.Host = set.Host
	}
	in := policy.Input{Event: e, Owner: set.Owner(e), KnownKeys: set.KnownKeys}
	if e.Remote.IP.IsValid() {
		in.Facts = set.Enrich(ctx, e.Remote.IP)
	}
	if set.Memory != nil {
		var err error
		if in.Memory, err = set.Memory.Recall(e, in.Facts); err != nil {
			return gate.Opinion{}, err
		}
	}
	v := policy.Judge(in, set.Policy)
	o := gate.Opinion{Known: in.Memory.Known && in.Memory.User.Count > 0, Keys: v.Keys, Score: -1}
	// The verdict alone leaves out what is implied, or not to be told.
	for _, signal := range policy.Shown(in, set.Policy) {
		if key := string(signal); !slices.Contains(o.Keys, key) {
			o.Keys = append(o.Keys, key)
		}
	}
	if r := in.Facts.Risk; r != nil && r.Known {
		o.Score = r.Score
	}
	var err error
	o.Attack, err = deliver.Attacked(ctx, j.db, e, time.Now().Add(-attackMemory))
	return o, err
}
