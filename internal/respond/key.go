package respond

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/sshauth"
)

// key has sshd refuse the key, for every account, also as part of a certificate.
func (r *Responder) key(ctx context.Context, st *Store, s *Step) {
	h, of := r.Host, r.Subject
	s.Title = "Refuse the key " + short(of.Key)
	s.misses("other hosts where the key may log in")
	s.misses("sessions that are open")
	if of.CA != "" {
		s.misses("a certificate with a new key: its authority %s has to refuse %q", of.CA, of.KeyID)
	}
	if of.Key == "" {
		s.Title, s.Misses = "Refuse the key", nil
		if of.Method != "" {
			s.end(Cannot, "the login was by %s, and by no key", of.Method)
		} else {
			s.end(Cannot, "the event names no key")
		}
		return
	}
	if !sshauth.IsFingerprint(of.Key) {
		s.Title = "Refuse the key"
		s.end(Cannot, "%q is no fingerprint", of.Key)
		return
	}
	s.say("the key is %s", of.Key)
	s.Commands = []string{"echo " + command("hash: "+of.Key) + " > /root/revoked.spec"}
	if h.exists(krlPath) {
		s.Commands = append(s.Commands, command("cp", krlPath, "/root/revoked.krl"), command("ssh-keygen", "-k", "-u", "-f", "/root/revoked.krl", "/root/revoked.spec"))
	} else {
		s.Commands = append(s.Commands, command("ssh-keygen", "-k", "-f", "/root/revoked.krl", "/root/revoked.spec"))
	}
	s.Commands = append(s.Commands,
		command("ssh-keygen", "-Q", "-l", "-f", "/root/revoked.krl")+"   # lists the hash: a broken list would refuse every key",
		command("install", "-m", "644", "/root/revoked.krl", krlPath))
	s.Undo = []string{command("sed", "-i", "/RevokedKeys/d", sshdConf), h.reloading(), command("rm", krlPath)}
	if !strings.Contains(h.text(sshdConf, maxStore), "RevokedKeys") {
		s.Commands = append(s.Commands, "echo "+command("RevokedKeys "+krlPath)+" >> "+sshdConf, h.reloading())
	}
	lines := h.keyLines(of.Key)
	for _, l := range lines {
		s.say("%s may log in with it: %s, line %d", l.User, l.File, l.Line)
	}
	var d denied
	if st != nil {
		var err error
		if d, err = st.denied(); err != nil {
			s.end(Failed, "%v", err)
			return
		}
	}
	if r.mineKey(lines) && !r.EvenMine {
		s.end(Refused, "it is a key of the account %s, with which you are logged in: make sure that you have another way in", r.Self.User)
		return
	}
	if st == nil {
		return
	}
	var public []byte
	if len(lines) > 0 {
		public = []byte(lines[0].Key)
	}
	port, before := "", false
	if h.Accepts != nil && public != nil {
		if port = h.port(ctx); port != "" {
			before, _ = h.Accepts(ctx, lines[0].User, public, port)
		}
	}
	already := slices.Contains(d.Keys, of.Key)
	if !already {
		if _, err := r.begin(st, Kept{Action: Key, Key: of.Key, Until: r.until(r.For)}); err != nil {
			s.end(Failed, "nothing is changed: %v", err)
			return
		}
		d.Keys = append(d.Keys, of.Key)
	}
	// Also of what is so already: whoever took the list or its line away is noticed.
	inPlace := h.exists(krlPath) && h.text(sshdConf, maxStore) == d.conf()
	if err := r.sshd(ctx, st, s, d, public); err != nil {
		if !already {
			r.drop(st, Key)
		}
		s.end(Failed, "%v", err)
		return
	}
	proof := "the list of revoked keys has it, and lets others pass"
	if port != "" {
		after, err := h.Accepts(ctx, lines[0].User, public, port)
		// While it reads its settings it answers by the old ones, or not at all.
		for end := time.Now().Add(endLimit); (after || err != nil) && time.Now().Before(end) && ctx.Err() == nil; {
			time.Sleep(endPoll)
			after, err = h.Accepts(ctx, lines[0].User, public, port)
		}
		switch {
		case err != nil:
			s.leave("sshd on loopback could not be asked: %v", err)
		case after:
			s.end(Failed, "sshd on loopback still takes it for %s", lines[0].User)
			return
		case before:
			proof = "sshd on loopback took it a moment ago, and refuses it now"
		}
	}
	if already && inPlace {
		s.end(Already, "sshd refuses it: %s", proof)
		return
	}
	if err := r.finish(st, Key); err != nil {
		s.leave("%v", err)
	}
	if !already {
		r.timer(ctx, s, Key)
	}
	s.done("%s", proof)
}

// short is as much of a fingerprint as tells keys apart.
func short(fingerprint string) string {
	const most = len("SHA256:") + 8
	if len(fingerprint) > most {
		return fingerprint[:most] + "…"
	}
	return fingerprint
}

// mineKey reports whether the key is one by which whoever asks may log in: it may be
// their only one.
func (r *Responder) mineKey(lines []KeyLine) bool {
	return r.Self.User != "" && slices.ContainsFunc(lines, func(l KeyLine) bool { return l.User == r.Self.User })
}
