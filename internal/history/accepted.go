package history

import (
	"net/netip"
	"strconv"
	"strings"
)

// accepted is what sshd's log says of a login.
type accepted struct {
	user, method, key string
	ip                netip.Addr
	port              uint16
}

// parseAccepted reads sshd's message of a login, which auth_log in OpenSSH's
// auth.c writes as
//
//	Accepted METHOD[/SUBMETHOD] for USER from ADDRESS port PORT ssh2[: INFO]
//
// A user name may hold anything, " from 192.0.2.1 port 1 ssh2" included, and
// the INFO of a certificate holds the name that its authority gave it. So every
// place at which the address may stand is tried, and the line is only
// understood if exactly one leaves an INFO that sshd writes.
func parseAccepted(msg string) (accepted, bool) {
	rest, ok := strings.CutPrefix(msg, "Accepted ")
	if !ok {
		return accepted{}, false
	}
	method, rest, ok := strings.Cut(rest, " for ")
	if !ok || method == "" || strings.ContainsAny(method, " \t") {
		return accepted{}, false
	}
	var found accepted
	n := 0
	for at := 0; ; {
		i := strings.Index(rest[at:], " from ")
		if i < 0 {
			break
		}
		at += i
		if a, ok := parseFrom(rest[at+len(" from "):]); ok {
			found = a
			found.user, found.method = unvis(rest[:at]), method
			n++
		}
		at++
	}
	return found, n == 1
}

// parseFrom reads what follows " from ".
func parseFrom(s string) (accepted, bool) {
	var a accepted
	host, s, ok := strings.Cut(s, " port ")
	if !ok {
		return a, false
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return a, false
	}
	port, s, ok := strings.Cut(s, " ssh2")
	if !ok {
		return a, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || port[0] == '+' {
		return a, false
	}
	a.ip, a.port = ip.Unmap().WithZone(""), uint16(n)
	if s == "" {
		return a, true
	}
	info, ok := strings.CutPrefix(s, ": ")
	if !ok {
		return a, false
	}
	a.key, ok = parseInfo(info)
	return a, ok
}

// parseInfo reads how somebody was accepted: for a key its type and
// fingerprint, and for a certificate what format_key in auth2-pubkey.c adds,
// " ID NAME (serial NUMBER) CA TYPE FINGERPRINT"; for others it is text
// without spaces (a principal) or what hostbased adds after a comma.
func parseInfo(info string) (key string, ok bool) {
	info, _, _ = strings.Cut(info, ", client user ")
	kind, rest, two := strings.Cut(info, " ")
	if kind == "" {
		return "", false
	}
	if !two {
		return "", true
	}
	key, rest, more := strings.Cut(rest, " ")
	if !isFingerprint(key) {
		return "", false
	}
	if !more {
		return key, true
	}
	if !strings.HasPrefix(rest, "ID ") {
		return "", false
	}
	i := strings.LastIndex(rest, " (serial ")
	if i < 0 {
		return "", false
	}
	serial, ca, ok := strings.Cut(rest[i+len(" (serial "):], ") CA ")
	if _, err := strconv.ParseUint(serial, 10, 64); !ok || err != nil {
		return "", false
	}
	kind, print, ok := strings.Cut(ca, " ")
	return key, ok && kind != "" && isFingerprint(print)
}

// isFingerprint knows the forms that sshd has had: SHA256:BASE64, MD5:HEX and,
// before OpenSSH 6.8, bare HEX.
func isFingerprint(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '+', c == '/', c == '=', c == ':':
		default:
			return false
		}
	}
	return strings.Contains(s, ":")
}

// unvis undoes what sshd does to a message on its way to the log: strnvis(3)
// with VIS_CSTYLE and VIS_OCTAL writes a backslash as two, and bytes that
// can't be seen as \n, \t, … or \ooo.
func unvis(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		i++
		switch at := strings.IndexByte(`abtnvfrs0\`, s[i]); at {
		case -1:
			b.WriteByte('\\')
			b.WriteByte(s[i])
		default:
			b.WriteByte("\a\b\t\n\v\f\r \x00\\"[at])
		}
	}
	return b.String()
}

// isSSHD knows the programs that log logins: since OpenSSH 9.8 each connection
// has one of its own.
func isSSHD(program string) bool { return program == "sshd" || program == "sshd-session" }
