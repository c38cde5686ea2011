package respond

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// begin writes down a change before it is made. One that was begun before and is not
// undone keeps what it knows of how it was.
func (r *Responder) begin(st *Store, k Kept) (Record, error) {
	rec, err := st.record(r.Subject.ID)
	if err != nil {
		return rec, err
	}
	if r.Begun != nil {
		r.Begun()
		r.Begun = nil
	}
	rec.Subject = r.Subject
	k.By, k.Began = r.By, r.Host.Now().UTC()
	if old := rec.open(k.Action); old != nil && k.Action != End {
		k.Began, k.Expiry, k.Denied = old.Began, old.Expiry, old.Denied
		for _, p := range old.Network {
			if !slices.Contains(k.Network, p) {
				k.Network = append(k.Network, p)
			}
		}
		*old = k
	} else {
		rec.Kept = append(rec.Kept, k)
	}
	return rec, st.keep(rec)
}

// finish writes down that a change was seen to be made.
func (r *Responder) finish(st *Store, a Action) error {
	return st.mark(r.Subject.ID, a, func(k *Kept) { k.Done = r.Host.Now().UTC() })
}

// drop writes down that a change was not made after all.
func (r *Responder) drop(st *Store, a Action) {
	// Else an undo of what was not done finds nothing to do.
	_ = st.mark(r.Subject.ID, a, func(k *Kept) { k.Undone = r.Host.Now().UTC() })
}

func (s *Store) mark(id string, a Action, change func(*Kept)) error {
	rec, err := s.record(id)
	if err != nil {
		return err
	}
	if k := rec.open(a); k != nil {
		change(k)
	}
	return s.keep(rec)
}

// unit is the name of the timer that ends an action.
func unit(id string, a Action) string {
	return "sshnotify-undo-" + strings.ToLower(id) + "-" + string(a)
}

// timer has systemd undo an action when its time is over.
func (r *Responder) timer(ctx context.Context, s *Step, a Action) {
	if r.For == 0 {
		return
	}
	h := r.Host
	s.Until = r.until(r.For)
	by := command(append([]string{"sshnotify", "respond", "undo"}, r.Subject.Ref())...)
	run, systemctl := h.program("systemd-run"), h.program("systemctl")
	if run == "" || systemctl == "" || !h.exists("/run/systemd/system") || len(r.Undo) == 0 {
		s.leave("nothing ends it at %s: no systemd runs here; then: %s", s.Until.Format(time.RFC3339), by)
		return
	}
	name := unit(r.Subject.ID, a)
	h.Run(ctx, "", systemctl, "stop", name+".timer") // of an earlier response
	args := append([]string{run, "--quiet", "--collect", "--unit=" + name, "--timer-property=AccuracySec=1s",
		"--on-active=" + strconv.Itoa(int(r.For.Seconds())) + "s", "--"}, r.Undo...)
	_, err := h.Run(ctx, "", append(args, "--only", string(a))...)
	if err == nil {
		_, err = h.Run(ctx, "", systemctl, "is-active", "--quiet", name+".timer")
	}
	if err != nil {
		s.leave("nothing ends it at %s: %v; then: %s", s.Until.Format(time.RFC3339), err, by)
		return
	}
	s.say("a timer undoes it at %s; a reboot forgets the timer, and then it stays until: %s", s.Until.Format(time.RFC3339), by)
}

// UndoAll puts back what was changed about an event, as far as it is still as it was
// left; what somebody else changed since stays. only are the actions; none: all.
func (r *Responder) UndoAll(ctx context.Context, only []Action) (out []Step, err error) {
	h := r.Host
	if h.UID != 0 {
		return nil, ErrNotRoot
	}
	st, err := OpenStore(r.Folder)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	unlock, err := st.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	rec, err := st.record(r.Subject.ID)
	if err != nil {
		return nil, err
	}
	r.Subject = rec.Subject
	for i := len(rec.Kept) - 1; i >= 0; i-- {
		k := rec.Kept[i]
		if !k.Undone.IsZero() || len(only) > 0 && !slices.Contains(only, k.Action) || k.Action == End {
			continue
		}
		s := &Step{Action: k.Action}
		switch k.Action {
		case Lock:
			err = r.unlock(ctx, st, s, k)
		case Key:
			s.Title = "Take the key " + short(k.Key) + " again"
			var d denied
			if d, err = st.denied(); err == nil {
				d.Keys = slices.DeleteFunc(d.Keys, func(x string) bool { return x == k.Key })
				if err = r.sshd(ctx, st, s, d, nil); err == nil {
					s.end(Done, "the list of revoked keys does not have it any more")
				}
			}
		case Block:
			s.Title = "Let " + address(k.Network[0].Addr()) + " in again"
			if err = h.unblock(ctx, k.Network); err == nil {
				s.end(Done, "the kernel's set does not have it any more")
			}
		}
		if err != nil {
			s.end(Failed, "%v", err)
		} else {
			err = st.mark(r.Subject.ID, k.Action, func(k *Kept) { k.Undone = h.Now().UTC() })
			if systemctl := h.program("systemctl"); systemctl != "" && !k.Until.IsZero() && k.Action != Block {
				// Not its service, which may be what runs this.
				h.Run(ctx, "", systemctl, "stop", unit(r.Subject.ID, k.Action)+".timer")
			}
		}
		for i := range s.Said {
			s.Said[i] = event.Clean(s.Said[i], maxSaid)
		}
		s.Title = event.Clean(s.Title, maxSaid)
		out = append(out, *s)
		if err != nil && s.Outcome != Failed {
			return out, err
		}
		err = nil
	}
	return out, nil
}

func (r *Responder) unlock(ctx context.Context, st *Store, s *Step, k Kept) error {
	h := r.Host
	s.Title = "Open the account " + k.User + " again"
	if k.Denied {
		d, err := st.denied()
		if err != nil {
			return err
		}
		d.Users = slices.DeleteFunc(d.Users, func(x string) bool { return x == k.User })
		if err := r.sshd(ctx, st, s, d, nil); err != nil {
			return err
		}
		s.end(Done, "sshd does not refuse it any more")
		return nil
	}
	now, err := h.expiry(k.User)
	switch {
	case errors.Is(err, errNoShadow):
		s.end(Already, "the account is gone")
		return nil
	case err != nil:
		return err
	case now != lockedAt:
		s.end(Already, "somebody has set its expiry since; it stays as it is")
		return nil
	}
	if err := h.expire(ctx, k.User, k.Expiry); err != nil {
		return err
	}
	s.end(Done, "its expiry is what it was: %s", expiryText(k.Expiry))
	return nil
}

func expiryText(days string) string {
	n, err := strconv.Atoi(days)
	if err != nil || n < 0 {
		return "never"
	}
	return fmt.Sprint(time.Unix(int64(n)*86400, 0).UTC().Format(time.DateOnly))
}
