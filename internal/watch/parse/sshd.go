package parse

import "strings"

// readSSHD reads what OpenSSH's sshd, sshd-session and sshd-auth write, in the
// words of auth.c, auth2.c, auth-pam.c, packet.c, kex.c, sshd.c and
// sshd-session.c of its portable releases.
//
// A user name may hold anything but control characters, so a message is read
// from its ends, which sshd wrote, and its middle is what remains.
func readSSHD(s string, r *reading) {
	s = strings.TrimRight(s, " ")
	s, preauth := strings.CutSuffix(s, " [preauth]")
	if rest, ok := strings.CutPrefix(s, "error: "); ok {
		s = rest
	} else if rest, ok := strings.CutPrefix(s, "fatal: "); ok {
		s = rest
	}
	if len(s) < 8 {
		return
	}
	// One look at the first letter spares most lines all other comparisons.
	switch s[0] {
	case 'F':
		if rest, ok := strings.CutPrefix(s, "Failed "); ok {
			sshdFailed(rest, r)
		} else if strings.HasPrefix(s, "Found matching ") {
			r.Outcome = Other
		}
	case 'A':
		if rest, ok := strings.CutPrefix(s, "Accepted "); ok {
			sshdAccepted(rest, r)
		} else if strings.HasPrefix(s, "Authentication ") || strings.HasPrefix(s, "Address ") || strings.HasPrefix(s, "Authorized ") {
			r.Outcome = Other
		}
	case 'I':
		if rest, ok := strings.CutPrefix(s, "Invalid user "); ok {
			sshdInvalid(rest, r)
		} else if rest, ok := strings.CutPrefix(s, "Illegal user "); ok {
			sshdInvalid(rest, r)
		}
	case 'C', 'D':
		sshdEnd(s, r)
	case 'U':
		sshdUser(s, r)
	case 'P':
		sshdPAM(s, r)
	case 'm':
		if rest, ok := strings.CutPrefix(s, "maximum authentication attempts exceeded for "); ok {
			sshdEndUser(rest, kindMaximum, r)
		}
	case 'p':
		readPAM(s, true, r)
	case 'R', 'L':
		sshdRefused(s, r)
	default:
		sshdConnection(s, preauth, r)
	}
	if r.Outcome == "" {
		sshdKnown(s, r)
	}
	// What sshd cut off is where the address stood. A login's stands in front of all
	// that a stranger chose, and PAM's lines are not cut.
	if r.whole >= maxSSHD && r.Outcome == Failure && r.kind > kindPAMMore {
		r.IP, r.Port, r.peer, r.Ambiguous = peerIP{}, 0, "", true
	}
}

// maxSSHD is how many bytes of a message sshd gives to syslog (log.c).
const maxSSHD = 500

// sshdFailed reads "METHOD for [invalid user ]USER from ADDR port N ssh2[: INFO]".
func sshdFailed(s string, r *reading) {
	method, rest := cutFirst(s)
	rest, ok := strings.CutPrefix(rest, "for ")
	if !ok {
		return
	}
	name, p, info, ok := authenticated(rest, false)
	if !ok {
		return
	}
	r.Outcome, r.Method, r.kind = Failure, method, kindFailed
	r.Ambiguous = p.text == ""
	switch {
	case method == "publickey", method == "none", method == "hostbased":
		// A client offers one key after the other; that is one attempt.
		r.kind = kindOffered
	case strings.HasPrefix(method, "keyboard-interactive"):
		r.kind = kindInteractive
	}
	r.setUser(name)
	r.Key = fingerprint(info)
	if info == "" && !strings.HasSuffix(rest, " ssh2") {
		p.intoWhole(r) // it may have been cut off within a certificate's identity
		return
	}
	p.into(r)
}

// sshdAccepted reads the same of a login. The name is of an account that is
// there, so nothing in front of the first address is a stranger's; what follows
// it may be (the identity in a certificate).
func sshdAccepted(s string, r *reading) {
	method, rest := cutFirst(s)
	rest, ok := strings.CutPrefix(rest, "for ")
	if !ok {
		return
	}
	name, p, info, ok := authenticated(rest, true)
	if !ok {
		return
	}
	r.Outcome, r.Method = Success, method
	r.setUser(name)
	r.Key = fingerprint(info)
	p.into(r)
}

// setUser takes "invalid user " off a name.
func (r *reading) setUser(name string) {
	rest, invalid := strings.CutPrefix(name, "invalid user ")
	if !invalid {
		rest, invalid = strings.CutPrefix(name, "illegal user ")
	}
	if !invalid && (name == "invalid user" || name == "illegal user") {
		rest, invalid = "", true
	}
	r.User, r.Invalid = rest, invalid
}

// authenticated splits "USER from ADDR port N ssh2[: INFO]". Both the name and
// some sorts of INFO may hold what looks like the rest. first says that the name
// can't.
func authenticated(s string, first bool) (name string, p peer, info string, ok bool) {
	if first {
		if before, found, behind, ok := firstPeer(s); ok {
			return before, found, behind, true
		}
	} else if identityLies(s) {
		return "", peer{}, "", true // somebody wants to be taken for somebody else
	}
	bare := strings.TrimSuffix(strings.TrimSuffix(s, " ssh2"), " ssh1")
	if name, p, ok = endFrom(bare); ok && (len(bare) < len(s) || p.ip.IsValid() && p.port != 0) {
		return name, p, "", true
	}
	// A key's type and fingerprint hold no space, and nobody but sshd writes
	// "ssh2: " in front of the last two words: with a certificate it is "CA ".
	rest, print := cutLast(s)
	rest, kind := cutLast(rest)
	if before, found := strings.CutSuffix(rest, " ssh2:"); found && kind != "" && strings.IndexByte(print, ':') > 0 {
		if name, p, ok = endFrom(before); ok {
			return name, p, kind + " " + print, true
		}
	}
	if before, found, behind, n := onlyPeer(s); n == 1 {
		return before, found, behind, true
	} else if n > 1 {
		return "", peer{}, "", true // somebody wants to be taken for somebody else
	}
	// A name where the address belongs, or an old sshd that writes no port.
	if name, p, ok = endFrom(s); ok {
		return name, p, "", true
	}
	return "", peer{}, "", false
}

// firstPeer finds the first " from PEER port N ssh2".
func firstPeer(s string) (before string, p peer, info string, ok bool) {
	for at := 0; ; {
		i := strings.Index(s[at:], " ssh2")
		if i < 0 {
			return "", peer{}, "", false
		}
		i += at
		at = i + len(" ssh2")
		behind := s[at:]
		if behind != "" && !strings.HasPrefix(behind, ": ") {
			continue
		}
		if before, p, ok = endFrom(s[:i]); ok && p.port != 0 {
			return before, p, strings.TrimPrefix(behind, ": "), true
		}
	}
}

// identityLies reports whether what may be a certificate's identity, or the name
// of a user on another host, holds an address of its own. sshd cuts a long one off,
// so that the line may end with it.
func identityLies(s string) bool {
	_, _, info, ok := firstPeer(s)
	if !ok {
		return false
	}
	kind, rest := cutFirst(info)
	_, rest = cutFirst(rest)
	if !(strings.HasSuffix(kind, "-CERT") && strings.HasPrefix(rest, "ID ")) && !strings.Contains(info, `, client user "`) {
		return false
	}
	return strings.Contains(info, " from ")
}

// onlyPeer finds the first " from ADDR port N ssh2: INFO" or its like at the
// end, and how many there are.
func onlyPeer(s string) (before string, p peer, info string, n int) {
	for at := 0; ; {
		i := strings.Index(s[at:], " ssh2")
		if i < 0 {
			return before, p, info, n
		}
		i += at
		at = i + len(" ssh2")
		behind := s[at:]
		if behind != "" && !strings.HasPrefix(behind, ": ") {
			continue
		}
		b, found, ok := endFrom(s[:i])
		if !ok || !found.ip.IsValid() || found.port == 0 {
			continue
		}
		if n++; n == 1 {
			before, p, info = b, found, strings.TrimPrefix(behind, ": ")
		}
	}
}

// fingerprint finds the first SHA256:… or MD5:… of what follows a login.
func fingerprint(info string) string {
	_, rest := cutFirst(info)
	word, _ := cutFirst(rest)
	word = strings.TrimSuffix(word, ",")
	if strings.IndexByte(word, ':') > 0 {
		return word
	}
	return ""
}

// sshdInvalid reads "USER from ADDR[ port N]".
func sshdInvalid(s string, r *reading) {
	name, p, ok := endFrom(s)
	if !ok {
		return
	}
	r.Outcome, r.User, r.Invalid, r.kind = Failure, name, true, kindInvalid
	p.into(r)
}

// sshdUser reads "User NAME from ADDR not allowed because …" and its like, and
// "Unable to negotiate with …".
func sshdUser(s string, r *reading) {
	if rest, ok := strings.CutPrefix(s, "User "); ok {
		// The reason names groups and shells of this host, not of a stranger.
		i := strings.LastIndex(rest, " not allowed because ")
		if i < 0 {
			return
		}
		name, p, ok := endFrom(rest[:i])
		if !ok {
			return
		}
		r.Outcome, r.User, r.kind = Failure, name, kindRefused
		p.into(r)
		return
	}
	if rest, ok := strings.CutPrefix(s, "Unable to negotiate with "); ok {
		sshdStart(rest, Failure, r)
	}
}

// sshdPAM reads "PAM: WHY for [illegal user ]NAME from ADDR" and "PAM N more
// authentication failures; …"; "Protocol major versions differ for …".
func sshdPAM(s string, r *reading) {
	switch {
	case strings.HasPrefix(s, "PAM: "):
		why, rest, ok := strings.Cut(s[len("PAM: "):], " for ")
		if !ok || strings.Contains(why, "(): ") {
			return
		}
		name, p, ok := endFrom(rest)
		if !ok {
			return
		}
		r.Outcome, r.kind = Failure, kindPAMError
		r.setUser(name)
		p.into(r)
	case strings.HasPrefix(s, "PAM "):
		readPAMMore(s[len("PAM "):], true, r)
	case strings.HasPrefix(s, "Protocol major versions differ for "):
		sshdStart(s[len("Protocol major versions differ for "):], Failure, r)
	case strings.HasPrefix(s, "Postponed "), strings.HasPrefix(s, "Partial "):
		r.Outcome = Other
	}
}

// sshdRefused reads "ROOT LOGIN REFUSED FROM ADDR port N", "Received disconnect
// from …".
func sshdRefused(s string, r *reading) {
	if rest, ok := strings.CutPrefix(s, "ROOT LOGIN REFUSED FROM "); ok {
		sshdStart(rest, Failure, r)
		if r.Outcome == Failure {
			r.User, r.kind = "root", kindRefused
		}
		return
	}
	if rest, ok := strings.CutPrefix(s, "Received disconnect from "); ok {
		sshdStart(rest, Other, r)
	}
}

// sshdStart reads a peer at the start of what remains.
func sshdStart(s string, o Outcome, r *reading) {
	p, _, ok := startPeer(s)
	if !ok && p.text == "" {
		return
	}
	r.Outcome = o
	p.into(r)
}
