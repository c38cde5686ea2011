package parse

import (
	"iter"
	"regexp"
	"strings"
	"sync"
)

var sshd = Daemon{
	Service: "sshd", Parser: "sshd", read: readSSHD,
	// Alpine's packages openssh-server-pam and -krb5 have names of their own.
	Programs: []string{"sshd", "sshd-session", "sshd-auth", "sshd.pam", "sshd-session.pam", "sshd-auth.pam",
		"sshd.krb5", "sshd-session.krb5", "sshd-auth.krb5"},
	pairs: byAddress, opens: []string{"sshd"}, Units: []string{"ssh", "sshd"},
}

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
	s = strings.TrimPrefix(s, "Fssh_") // FreeBSD renames the functions of its libssh
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
		} else if strings.HasPrefix(s, "Authentication tried for ") {
			sshdNotFrom(s, r)
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
	case 'a':
		if rest, ok := strings.CutPrefix(s, "administratively prohibited connection for "); ok { // RefuseConnection, since 10.0
			sshdEndUser(rest, kindRefused, r)
		}
	case 'p':
		if rest, ok := strings.CutPrefix(s, "public key "); ok {
			sshdKeyRejected(rest, r)
			break
		}
		readPAM(s, true, r)
	case 'R', 'L':
		sshdRefused(s, r)
	default:
		sshdConnection(s, preauth, r)
	}
	if r.Outcome == "" {
		sshdNotFrom(s, r)
	}
	if r.Outcome == "" {
		sshdKnown(s, r)
	}
	if r.isPAM() {
		r.User = unhash(r.User)
	} else {
		r.User = unvis(r.User)
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
	at, ok := authenticated(rest, false)
	if !ok {
		return
	}
	r.Outcome, r.Method, r.kind = Failure, method, kindFailed
	r.Ambiguous = at.text == ""
	switch {
	case method == "publickey", method == "none", method == "hostbased":
		// A client offers one key after the other; that is one attempt.
		r.kind = kindOffered
	case strings.HasPrefix(method, "keyboard-interactive"):
		r.kind = kindInteractive
	}
	r.setUser(at.name)
	r.Key = fingerprint(at.info)
	if at.info == "" && !strings.HasSuffix(rest, " ssh2") {
		at.intoWhole(r) // it may have been cut off within a certificate's identity
		return
	}
	at.into(r)
}

// sshdAccepted reads the same of a login. The name is of an account that is
// there, so nothing in front of the first address is a stranger's; what follows
// it may be (the identity in a certificate). Where exactly one place leaves an
// INFO that sshd writes, that is the address, whatever the account is called,
// unless the first one's INFO may have been cut off.
func sshdAccepted(s string, r *reading) {
	method, rest := cutFirst(s)
	rest, ok := strings.CutPrefix(rest, "for ")
	if !ok {
		return
	}
	at, ok := authenticated(rest, true)
	if !ok {
		return
	}
	if only, n := onlyPeer(rest, true); n == 1 && (only == at || !identityLies(rest)) {
		at, r.Certain = only, true
	}
	r.Outcome, r.Method = Success, method
	r.setUser(at.name)
	r.Key = fingerprint(at.info)
	if strings.Contains(at.info, " ID ") {
		if m := infoForm().FindStringSubmatch(at.info); m != nil {
			r.KeyID, r.CA = m[3], m[4]
		}
	}
	at.into(r)
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
func authenticated(s string, first bool) (at authPeer, ok bool) {
	if first {
		for at := range authPeers(s) {
			return at, true
		}
	} else if identityLies(s) {
		return authPeer{}, true // somebody wants to be taken for somebody else
	}
	bare := strings.TrimSuffix(strings.TrimSuffix(s, " ssh2"), " ssh1")
	if name, p, ok := endFrom(bare); ok && (len(bare) < len(s) || p.ip.IsValid() && p.port != 0) {
		return authPeer{name: name, peer: p}, true
	}
	// A key's type and fingerprint hold no space, and nobody but sshd writes
	// "ssh2: " in front of the last two words: with a certificate it is "CA ".
	rest, print := cutLast(s)
	rest, kind := cutLast(rest)
	if before, found := strings.CutSuffix(rest, " ssh2:"); found && kind != "" && strings.IndexByte(print, ':') > 0 {
		if name, p, ok := endFrom(before); ok {
			return authPeer{name, p, kind + " " + print}, true
		}
	}
	if at, n := onlyPeer(s, false); n == 1 {
		return at, true
	} else if n > 1 {
		return authPeer{}, true // somebody wants to be taken for somebody else
	}
	// A name where the address belongs, or an old sshd that writes no port.
	name, p, ok := endFrom(s)
	return authPeer{name: name, peer: p}, ok
}

// authPeer is one way to read "NAME from PEER port N ssh2[: INFO]".
type authPeer struct {
	name string
	peer
	info string
}

// authPeers returns the ways to read s, the leftmost peer first.
func authPeers(s string) iter.Seq[authPeer] {
	return func(yield func(authPeer) bool) {
		for end := 0; ; {
			i := strings.Index(s[end:], " ssh2")
			if i < 0 {
				return
			}
			i += end
			end = i + len(" ssh2")
			info, more := strings.CutPrefix(s[end:], ": ")
			if !more && info != "" {
				continue
			}
			if name, p, ok := endFrom(s[:i]); ok && p.port != 0 && !yield(authPeer{name, p, info}) {
				return
			}
		}
	}
}

// onlyPeer returns the first of the ways to read s with an address, and how many
// there are; strict leaves out those whose INFO sshd does not write.
func onlyPeer(s string, strict bool) (first authPeer, n int) {
	for at := range authPeers(s) {
		if !at.ip.IsValid() || strict && !isInfo(at.info) {
			continue
		}
		if n++; n == 1 {
			first = at
		}
	}
	return first, n
}

// isInfo reports whether sshd writes what follows "ssh2: ", or nothing does.
func isInfo(s string) bool {
	kind, print, _ := strings.Cut(s, " ")
	if kind != "" && strings.HasPrefix(print, "SHA256:") && isBase64(print[len("SHA256:"):]) || s == "" {
		return true // as most are
	}
	return infoForm().MatchString(s)
}

func isBase64(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '+' || c == '/') {
			return false
		}
	}
	return true
}

// infoForm is what sshd writes behind "ssh2: ": a principal, or the type and
// fingerprint of a key, which before OpenSSH 6.8 was bare hex; behind a
// certificate's what format_key in auth2-pubkey.c adds; and behind those of
// hostbased the names that the client gave.
var infoForm = sync.OnceValue(func() *regexp.Regexp {
	const print = `[0-9A-Za-z+/=]*:[0-9A-Za-z+/=:]*`
	return regexp.MustCompile(`(?s)^(\S+|\S+ ` + print + `( ID (.*) \(serial \d+\) CA \S+ (` + print + `))?)(, client user .*)?$`)
})

// identityLies reports whether what may be a certificate's identity, or the name
// of a user on another host, holds an address of its own. sshd cuts a long one off,
// so that the line may end with it.
func identityLies(s string) bool {
	for at := range authPeers(s) {
		kind, rest := cutFirst(at.info)
		_, rest = cutFirst(rest)
		return (strings.HasSuffix(kind, "-CERT") && strings.HasPrefix(rest, "ID ") || strings.Contains(at.info, `, client user "`)) &&
			strings.Contains(at.info, " from ")
	}
	return false
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
		if !ok { // what is wrong with the account, not with whence he comes, is told without that
			if !sshdOfAccount(rest[i+len(" not allowed because "):]) {
				return
			}
			name = rest[:i]
		}
		r.Outcome, r.User, r.kind = Failure, name, kindRefused
		p.into(r)
		return
	}
	if rest, ok := strings.CutPrefix(s, "Unable to negotiate with "); ok {
		sshdStart(rest, Failure, r)
	}
}

// sshdOfAccount reports whether a reason is one that sshd gives without an address.
func sshdOfAccount(why string) bool {
	return why == "account is locked" || strings.HasPrefix(why, "shell ") || strings.HasSuffix(why, " exists")
}

// sshdKeyRejected reads "KEYTYPE [PRINT ]signature for [invalid user ]NAME from ADDR
// port N rejected: user presence …" behind "public key ".
func sshdKeyRejected(s string, r *reading) {
	_, rest, ok := strings.Cut(s, "signature for ")
	i := strings.LastIndex(rest, " rejected: user ")
	if !ok || i < 0 {
		return
	}
	sshdEndUser(rest[:i], kindOffered, r)
	r.Method = "publickey"
}

// sshdNotFrom reads "[FILE:LINE: ]Authentication tried for NAME with correct key but
// not from a permitted host (host=HOST, ip=ADDR[, required=LIST])." and the same of
// a certificate: "… with valid certificate but not from a permitted source address
// (ADDR)." The name is of an account that is there.
func sshdNotFrom(s string, r *reading) {
	file, rest, ok := strings.Cut(s, "Authentication tried for ")
	name, why, known := strings.Cut(rest, " with ")
	if file, ok := strings.CutSuffix(file, ": "); !ok && file != "" || strings.IndexByte(file, ' ') >= 0 {
		return // somebody else's words
	}
	if !ok || !known {
		return
	}
	var host string
	if _, where, isKey := strings.Cut(why, "correct key but not from a permitted host (host="); isKey {
		_, ip, found := strings.Cut(where, ", ip=")
		if !found {
			return
		}
		host = ip[:len(ip)-len(strings.TrimLeft(ip, "0123456789abcdefABCDEF:."))]
	} else if _, where, isCertificate := strings.Cut(why, "valid certificate but not from a permitted source address ("); isCertificate {
		host, _, _ = strings.Cut(where, ")")
	} else {
		return
	}
	r.Outcome, r.Method, r.User, r.kind = Failure, "publickey", name, kindOffered
	peer{text: host, ip: address(host)}.into(r)
}

// sshdPAM reads "PAM: WHY for [illegal user ]NAME from ADDR" and "PAM N more
// authentication failures; …"; "Protocol major versions differ for …".
func sshdPAM(s string, r *reading) {
	switch {
	case strings.HasPrefix(s, "PAM: "):
		why, rest, ok := strings.Cut(s[len("PAM: "):], " for ")
		if !ok || strings.Contains(why, "(): ") {
			r.Outcome = Other
			return
		}
		if before, via := cutLast(rest); address(via).IsValid() { // macOS says where it listened
			rest = strings.TrimSuffix(before, " via")
			if rest == before {
				rest = before + " " + via
			}
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
