package parse

import "strings"

// sshdEnd reads how a connection ended: "Connection closed by …", "Disconnected
// from …", "Disconnecting …", and what begins with the same letters.
//
// One that ends while a user is being authenticated is an attempt: where only
// keys are allowed, nothing else is logged of it. If another line has told of
// the attempt, the session knows.
func sshdEnd(s string, r *reading) {
	rest, ok := cutAnyPrefix(s, "Connection closed by ", "Connection reset by ", "Disconnected from ")
	switch {
	case ok:
		who, isUser := cutAnyPrefix(rest, "authenticating user ", "invalid user ")
		switch {
		case isUser:
			name, p, ok := endPeer(who)
			if !ok || p.port == 0 {
				return
			}
			r.Outcome, r.User, r.kind = Failure, name, kindEnd
			r.Invalid = strings.HasPrefix(rest, "invalid ")
			p.intoWhole(r)
		case strings.HasPrefix(rest, "user "):
			_, p, ok := endPeer(rest)
			if !ok || p.port == 0 {
				return
			}
			r.Outcome, r.kind = Other, kindOver
			p.into(r)
		default:
			if p, behind, ok := startPeer(rest); ok && behind == "" {
				r.Outcome, r.kind = Other, kindOver
				p.into(r)
			}
		}
	case strings.HasPrefix(s, "Disconnecting "):
		sshdDisconnecting(s[len("Disconnecting "):], r)
	case strings.HasPrefix(s, "Disconnecting: "), strings.HasPrefix(s, "Close session: "):
		r.Outcome = Other
	case strings.HasPrefix(s, "Did not receive identification string from "):
		sshdStart(s[len("Did not receive identification string from "):], Other, r)
	case strings.HasPrefix(s, "Connection from "):
		sshdStart(s[len("Connection from "):], Other, r)
		r.kind = kindStart
	}
}

// sshdDisconnecting reads "[authenticating |invalid ]user NAME ADDR port N: WHY".
func sshdDisconnecting(s string, r *reading) {
	who, ok := cutAnyPrefix(s, "authenticating user ", "invalid user ")
	if !ok {
		r.Outcome = Other
		return
	}
	invalid := strings.HasPrefix(s, "invalid ")
	var name string
	var p peer
	found := 0
	if before, many := strings.CutSuffix(who, ": Too many authentication failures"); many {
		if name, p, ok = endPeer(before); !ok || p.port == 0 {
			return
		}
	} else {
		// The reason names the user again, and the next one. The name that both
		// places agree on is the one.
		const change = ": Change of username or service not allowed: ("
		for at := 0; ; {
			i := strings.Index(who[at:], change)
			if i < 0 {
				break
			}
			i += at
			at = i + 1
			before, q, ok := endPeer(who[:i])
			if ok && q.port != 0 && strings.HasPrefix(who[i+len(change):], before+",") {
				name, p = before, q
				found++
			}
		}
		if found != 1 {
			r.Outcome, r.Ambiguous = Other, found > 1
			return
		}
	}
	r.Outcome, r.User, r.Invalid, r.kind = Failure, name, invalid, kindEnd
	if found == 1 {
		p.into(r)
	} else {
		p.intoWhole(r)
	}
}

// sshdEndUser reads "[invalid user ]NAME from ADDR port N ssh2".
func sshdEndUser(s string, k kind, r *reading) {
	name, p, ok := endFrom(strings.TrimSuffix(s, " ssh2"))
	if !ok {
		return
	}
	r.Outcome, r.kind = Failure, k
	r.setUser(name)
	p.into(r)
}

// sshdConnection reads what is said of a connection rather than of a user. One
// that nobody could have logged in by is an attempt; one that only came and went
// is not, because every check of whether a port is open does that.
func sshdConnection(s string, preauth bool, r *reading) {
	switch s[0] {
	case 'B':
		if rest, ok := strings.CutPrefix(s, "Bad protocol version identification "); ok {
			if _, p, ok := endFrom(rest); ok {
				r.Outcome = Failure
				p.into(r)
			}
		}
	case 'b':
		rest, ok := strings.CutPrefix(s, "banner exchange: Connection from ")
		if !ok {
			return
		}
		o := Other
		if strings.HasSuffix(s, ": invalid format") {
			o = Failure
		}
		sshdStart(rest, o, r)
	case 'T':
		rest, ok := strings.CutPrefix(s, "Timeout before authentication for ")
		if !ok {
			return
		}
		sshdStart(strings.TrimPrefix(rest, "connection from "), Failure, r)
		r.kind = kindTimeout
	case 'M':
		if !strings.HasPrefix(s, "Magic value check failed (") {
			return
		}
		if _, p, ok := endFrom(s); ok {
			r.Outcome = Failure
			p.into(r)
		}
	case 'd':
		sshdDropped(s, r)
	case 'r':
		sshdWrapped(s, r)
	case 's':
		rest, ok := strings.CutPrefix(s, "ssh_dispatch_run_fatal: Connection ")
		if !ok {
			return
		}
		i := strings.LastIndex(rest, ": ")
		if i < 0 {
			return
		}
		_, p, ok := endPeer(rest[:i])
		if !ok || p.port == 0 {
			return
		}
		r.Outcome = Other
		if preauth {
			r.Outcome, r.kind = Failure, kindTimeout
		}
		p.into(r)
	}
}

// sshdDropped reads "drop connection #N from [ADDR]:PORT on [ADDR]:PORT WHY": the
// listener refuses who has misbehaved, or who came when too many were there.
func sshdDropped(s string, r *reading) {
	rest, ok := strings.CutPrefix(s, "drop connection #")
	if !ok {
		return
	}
	_, rest = cutFirst(rest)
	rest, ok = strings.CutPrefix(rest, "from ")
	if !ok {
		return
	}
	word, why := cutFirst(rest)
	p, ok := hostPort(word)
	if !ok {
		return
	}
	r.Outcome = Other
	if strings.Contains(why, " penalty: ") {
		r.Outcome = Failure
	}
	p.into(r)
}

// sshdWrapped reads TCP wrappers' "refused connect from NAME (ADDR)", in which
// the other side's identd may have chosen part of the name.
func sshdWrapped(s string, r *reading) {
	if _, ok := strings.CutPrefix(s, "refused connect from "); ok {
		_, word := cutLast(s)
		if len(word) < 4 || word[0] != '(' || word[len(word)-1] != ')' {
			return
		}
		r.Outcome, r.IP = Failure, address(word[1:len(word)-1])
		return
	}
	if strings.HasPrefix(s, "reverse mapping checking ") || strings.HasPrefix(s, "rexec line ") {
		r.Outcome = Other
	}
}

// sshdKnown are lines that tell of nobody's attempt.
func sshdKnown(s string, r *reading) {
	if _, ok := cutAnyPrefix(s,
		"Server listening on ", "Received signal ", "Received SIGHUP", "Exiting on signal ",
		"Starting session: ", "User child is on pid ", "Transferred: ", "subsystem request for ",
		"input_userauth_request: invalid user ", "input_userauth_error: ", "kex_exchange_identification: ",
		"kex_protocol_error: ", "client sent invalid protocol identifier ", "Could not ", "Nasty PTR record ",
		"Too many authentication failures", "beginning MaxStartups throttling", "exited MaxStartups throttling",
		"session opened for ", "session closed for ", "debug1: ", "debug2: ", "debug3: ",
		"userauth_pubkey: ", "Set ", "no hostkey alg", "no matching ", "key_verify failed", "dispatch_protocol_error: ",
		"Read error from remote host ", "Write failed: ", "packet_write_", "fatal: ", "Timeout, client not responding from ",
		"Bad packet length ", "Corrupted MAC on input", "mm_", "monitor_read", "buffer_get_", "session_",
		"Local disconnected", "Accepted key ", "Accepted certificate ", "Certificate ", "bad ownership or modes ",
		"Bind to port ", "listen_on_addrs: ", "Unable to load host key",
	); ok {
		r.Outcome = Other
	}
}

func cutAnyPrefix(s string, prefixes ...string) (rest string, ok bool) {
	for _, p := range prefixes {
		if rest, ok = strings.CutPrefix(s, p); ok {
			return rest, true
		}
	}
	return s, false
}
