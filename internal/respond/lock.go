package respond

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/passwd"
)

// lockedAt is what a locked account's expiry is: the second day of 1970, since 0 means
// never to some.
const lockedAt = "1"

// expiry returns when an account expires, as it stands in shadow(5): days since 1970,
// empty for never.
func (h Host) expiry(user string) (days string, err error) {
	b, err := h.readFile("/etc/shadow", 4<<20)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) >= 8 && f[0] == user {
			if _, err := strconv.Atoi(f[7]); f[7] != "" && err != nil {
				return "", fmt.Errorf("/etc/shadow: the expiry of %q is no number", user)
			}
			return f[7], nil
		}
	}
	return "", errNoShadow
}

var errNoShadow = errors.New("the account has no line in /etc/shadow")

// expired reports whether an account with that expiry lets nobody in.
func expired(days string, now time.Time) bool {
	n, err := strconv.Atoi(days)
	return err == nil && n >= 0 && int64(n) <= now.Unix()/86400
}

// lock keeps the account from being logged in to: by its expiry, which sshd asks about
// whatever somebody proved who they are by. Where there is none to set, as for
// accounts of LDAP, and for root, without whom nothing runs, sshd refuses it.
func (r *Responder) lock(ctx context.Context, st *Store, s *Step) {
	h, of := r.Host, r.Subject
	s.Title = "Lock the account " + of.User
	s.misses("sessions that are open, and new channels over their connections: end them after it")
	s.misses("services and timers that run as the account")
	if of.User == "" {
		s.Misses = nil
		s.end(Cannot, "the event names no account")
		return
	}
	list := passwd.ReadFile(h.path("/etc/passwd"))
	account, local := passwd.ByName(list, of.User)
	if local {
		for _, twin := range twins(list, account) {
			s.leave("the account %s has the same number (%d), and is not locked", twin, account.UID)
		}
	}
	now, err := h.expiry(of.User)
	byExpiry := local && account.UID != 0 && !errors.Is(err, errNoShadow)
	if byExpiry && err != nil && h.UID == 0 {
		s.end(Failed, "%v", err)
		return
	}
	name := []string{of.User}
	if strings.HasPrefix(of.User, "-") {
		name = []string{"--", of.User}
	}
	if byExpiry {
		s.Commands = []string{command(append([]string{"usermod", "--expiredate", lockedAt}, name...)...), command(append([]string{"getent", "shadow"}, of.User)...) + "   # the field before the last is 1"}
		s.Undo = []string{command(append([]string{"usermod", "--expiredate", now}, name...)...)}
		if err != nil { // who is not root can't see what it was
			s.Undo = []string{command(append([]string{"usermod", "--expiredate", "OLD"}, name...)...) + "   # OLD: what getent said before"}
			s.Commands = []string{s.Commands[1][:strings.Index(s.Commands[1], "   #")] + "   # note the field before the last: it is OLD", s.Commands[0]}
		}
	} else {
		s.misses("su, sudo and cron: only sshd refuses it")
		s.Commands = []string{"echo " + command("DenyUsers "+of.User) + " >> " + sshdConf, h.reloading()}
		s.Undo = []string{"# take that line out of " + sshdConf + " again, then:", h.reloading()}
		if !plainName(of.User) {
			s.Commands, s.Undo = nil, nil
			s.end(Cannot, "%q is no name that DenyUsers takes as it is", of.User)
			return
		}
	}
	var d denied
	if st != nil {
		if d, err = st.denied(); err != nil {
			s.end(Failed, "%v", err)
			return
		}
	}
	switch {
	case byExpiry && err == nil && h.UID == 0 && expired(now, h.Now()):
		s.end(Already, "it has expired")
		return
	case !byExpiry && slices.Contains(d.Users, of.User):
		s.end(Already, "sshd refuses it")
		return
	case r.Self.LoginUID >= 0 && r.Self.LoginUID == of.UID && !r.EvenMine:
		s.end(Refused, "you are logged in with it yourself, and could not come back")
		return
	case st == nil:
		return
	}
	kept := Kept{Action: Lock, User: of.User, Expiry: now, Denied: !byExpiry, Until: r.until(r.For)}
	if _, err := r.begin(st, kept); err != nil {
		s.end(Failed, "nothing is changed: %v", err)
		return
	}
	if byExpiry {
		err = h.expire(ctx, of.User, lockedAt)
	} else {
		d.Users = append(d.Users, of.User)
		err = r.sshd(ctx, st, s, d, nil)
	}
	if err != nil {
		r.drop(st, Lock)
		s.end(Failed, "%v", err)
		return
	}
	if err := r.finish(st, Lock); err != nil {
		s.leave("%v", err)
	}
	r.timer(ctx, s, Lock)
	if byExpiry {
		s.done("it has expired: /etc/shadow says so, and sshd and su refuse it")
	} else {
		s.done("sshd refuses it")
	}
}

// expire sets the expiry of an account, and looks whether it is so.
func (h Host) expire(ctx context.Context, user, days string) error {
	usermod := h.program("usermod")
	if usermod == "" {
		return errors.New("usermod is not there")
	}
	args := []string{usermod, "--expiredate", days}
	if strings.HasPrefix(user, "-") {
		args = append(args, "--")
	}
	_, err := h.Run(ctx, "", append(args, user)...)
	got, readErr := h.expiry(user)
	switch {
	case readErr != nil:
		return readErr
	case got == days:
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("usermod says that it is done, and /etc/shadow has %q for the expiry of %s", got, user)
}

// twins are other names of an account.
func twins(list string, of passwd.User) (out []string) {
	passwd.Find(list, func(u passwd.User) bool {
		if u.UID == of.UID && u.Name != of.Name {
			out = append(out, u.Name)
		}
		return false
	})
	return out
}

// plainName reports whether sshd_config(5) takes a name as it is, and as one.
func plainName(s string) bool {
	return s != "" && s[0] != '-' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-$") == ""
}
