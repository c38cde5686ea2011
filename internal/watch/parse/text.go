package parse

import (
	"net/netip"
	"strconv"
	"strings"
)

// address reads what a daemon wrote as an address; a name gives the zero value.
func address(s string) netip.Addr {
	// A port scan's worth of host names must not cost an error each.
	if len(s) < 2 || len(s) > 100 || !addressStart(s[0]) {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.WithZone("").Unmap()
}

func addressStart(c byte) bool {
	return c == ':' || isHex(c)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// number reads 1 to 9 digits.
func number(s string) (int, bool) {
	if s == "" || len(s) > 9 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return n, true
}

func portNumber(s string) (uint16, bool) {
	n, ok := number(s)
	return uint16(n), ok && n <= 0xffff
}

// maxWhole is how long a message may be that surely reached its end: syslogd of
// Busybox keeps 256 bytes with the header. Where a longer one ends with what a
// stranger wrote, a logger may have cut off the rest.
const maxWhole = 200

// peer is a "ADDR" or "ADDR port N" that a daemon wrote.
type peer struct {
	text string // what stands where the address belongs; a name, if it looked one up
	ip   netip.Addr
	port uint16
}

// endPeer cuts a peer off the end: "BEFORE ADDR port N" or "BEFORE ADDR". What
// stands there is the peer even if it is a name: falling back to something
// further left would take what the other side wrote.
func endPeer(s string) (before string, p peer, ok bool) {
	before, last := cutLast(s)
	if rest, word := cutLast(before); word == "port" && rest != "" {
		if n, isPort := portNumber(last); isPort {
			p.port = n
			before, last = cutLast(rest)
		}
	}
	p.text, p.ip = last, address(last)
	return before, p, last != ""
}

// endFrom is endPeer for "BEFORE from ADDR…"; BEFORE may be empty.
func endFrom(s string) (before string, p peer, ok bool) {
	before, p, ok = endPeer(s)
	if !ok {
		return "", peer{}, false
	}
	if before == "from" {
		return "", p, true
	}
	before, ok = strings.CutSuffix(before, " from")
	return before, p, ok
}

// startPeer reads "ADDR port N…" or "ADDR…" at the start, where nothing that a
// stranger chose can stand before it.
func startPeer(s string) (p peer, rest string, ok bool) {
	word, rest := cutFirst(s)
	word = strings.TrimRight(word, ":,")
	p.ip = address(word)
	p.text = word
	if !p.ip.IsValid() {
		return p, s, false
	}
	if after, found := strings.CutPrefix(rest, "port "); found {
		digits := 0
		for digits < len(after) && after[digits] >= '0' && after[digits] <= '9' {
			digits++
		}
		if n, isPort := portNumber(after[:digits]); isPort {
			p.port, rest = n, after[digits:]
		}
	}
	return p, rest, true
}

func (p peer) into(r *reading) {
	r.IP, r.Port = p.ip, p.port
	if !p.ip.IsValid() {
		r.peer = p.text
	}
}

// intoWhole is into for a peer at the end of a message whose middle a stranger
// wrote.
func (p peer) intoWhole(r *reading) {
	if r.whole > maxWhole {
		r.Ambiguous = true
		return
	}
	p.into(r)
}

// cutFirst splits at the first space, cutLast at the last one.
func cutFirst(s string) (word, rest string) {
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

func cutLast(s string) (rest, word string) {
	if i := strings.LastIndexByte(s, ' '); i >= 0 {
		return s[:i], s[i+1:]
	}
	return "", s
}

// hostPort reads "ADDR:PORT", "[ADDR]:PORT" and, as dropbear writes it, an IPv6
// address with the port behind its last colon.
func hostPort(s string) (p peer, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return peer{}, false
	}
	port, isPort := portNumber(s[i+1:])
	host := strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]")
	return peer{text: host, ip: address(host), port: port}, isPort && host != ""
}

// baseName is a program without its folder, and without "(pam_unix)", which old
// systems write behind it.
func baseName(s string) string {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		s = s[i+1:]
	}
	if i := strings.IndexByte(s, '('); i > 0 {
		s = s[:i]
	}
	return s
}

// maxRepeat bounds what "message repeated N times" is believed.
const maxRepeat = 1_000_000

// repeated unpacks rsyslog's "message repeated N times: [ MESSAGE]".
func repeated(s string) (message string, times int) {
	rest, ok := strings.CutPrefix(s, "message repeated ")
	if !ok {
		return s, 1
	}
	digits, rest := cutFirst(rest)
	n, isNumber := number(digits)
	rest, ok = strings.CutPrefix(rest, "times: [")
	if !ok || !isNumber || n < 1 {
		return s, 1
	}
	rest = strings.TrimSuffix(strings.TrimRight(rest, " "), "]")
	return strings.TrimPrefix(rest, " "), min(n, maxRepeat)
}

// isJSON reports whether a line is an entry of the journal, or another program's
// JSON, whole or not (RFC 7464 puts a byte in front): no daemon begins so, and
// anybody's words may stand in it.
func isJSON(s string) bool {
	return strings.HasPrefix(strings.TrimLeft(s, "\x1e \t"), "{")
}

// lastRepeated reads the BSDs' "last message repeated N times".
func lastRepeated(s string) (int, bool) {
	rest, ok := strings.CutPrefix(s, "last message repeated ")
	if !ok {
		return 0, false
	}
	rest, ok = strings.CutSuffix(strings.TrimSuffix(rest, "s"), " time")
	n, err := strconv.Atoi(rest)
	return min(n, maxRepeat), ok && err == nil && n > 0
}

// unvis undoes what sshd does to a message on its way to the log: strnvis(3)
// with VIS_CSTYLE and VIS_OCTAL writes a backslash as two, and bytes that
// can't be seen as \n, \t, … or \ooo. The system logs of macOS, and vis without
// VIS_OCTAL, write them as \^C, \M-C and \M^C.
func unvis(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c, n := s[i], 1
		if c == '\\' {
			c, n = unvisByte(s[i:])
		}
		b = append(b, c)
		i += n - 1
	}
	return string(b)
}

// unvisByte reads the byte that an escape at the start of s stands for, and how long
// the escape is; what is none stands for itself.
func unvisByte(s string) (c byte, length int) {
	if len(s) > 3 {
		if n, err := strconv.ParseUint(s[1:4], 8, 8); err == nil {
			return byte(n), 4
		}
		switch s[1:3] {
		case "M-":
			return s[3] | 0x80, 4
		case "M^":
			return s[3] ^ 0x40 | 0x80, 4
		}
	}
	if len(s) > 2 && s[1] == '^' {
		return s[2] ^ 0x40, 3
	}
	if len(s) > 1 {
		if at := strings.IndexByte(`abtnvfrs0\`, s[1]); at >= 0 {
			return "\a\b\t\n\v\f\r \x00\\"[at], 2
		}
	}
	return s[0], 1
}

// unhash undoes what rsyslog does with $Escape8BitCharactersOnReceive, and with
// control characters always: it writes them as #ooo. sshd's own escapes it leaves.
func unhash(s string) string {
	if strings.IndexByte(s, '#') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '#' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil && (n < ' ' || n > '~') {
				b = append(b, byte(n))
				i += 3
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
