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
	// Who never tried to log in is no attacker: a check of whether the port is open.
	if _, penalty, ok := strings.Cut(why, " penalty: "); ok && penalty != "connections without attempting authentication" {
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

// sshdKnown are lines that tell of nobody's attempt. What other programs might say as
// well is taken for sshd's only where a line says that it is.
func sshdKnown(s string, r *reading) {
	_, ok := cutAnyPrefix(s,
		"Server listening on ", "Received signal ", "Received SIGHUP", "Exiting on signal ",
		"Starting session: ", "User child is on pid ", "Transferred: ", "subsystem request for ",
		"input_userauth_request: invalid user ", "input_userauth_error: ", "kex_exchange_identification: ",
		"kex_protocol_error: ", "client sent invalid protocol identifier ", "Nasty PTR record ",
		"Too many authentication failures", "beginning MaxStartups throttling", "exited MaxStartups throttling",
		"srclimit_penalise: ", "userauth_pubkey: ", "Read error from remote host ", "Timeout, client not responding from ",
		"Bad packet length ", "Corrupted MAC on input", "ssh_dispatch_run_fatal: ")
	if !ok && !r.bare {
		_, ok = cutAnyPrefix(s,
			"Could not ", "Couldn't ", "session opened for ", "session closed for ",
			"Set ", "Setting ", "no hostkey alg", "no matching ", "key_verify failed",
			"Write failed: ", "packet_write_", "mm_", "monitor_read", "buffer_get_", "session_", "Read from socket failed: ",
			"Local disconnected", "Accepted key ", "Accepted certificate ", "Certificate ", "bad ownership or modes ",
			"Bind to port ", "Cannot bind any address", "Unable to load host key", "Unable to negotiate ",
			"Protocol major versions differ: ", "Protocol error: ", "Hm, kex protocol error: ", "kex protocol error: ", "padding error: ", "Packet ", "Client version ",
			"Connection closed by UNKNOWN", "Connection reset by UNKNOWN", "Disconnected from UNKNOWN", "probed from ", "scanned from ",
			// Of who is in, or of an attempt that another line tells.
			"Access denied for user ", "Login restricted for ", "Login name ", "Root login accepted for forced command",
			"WARNING: revoked key for ", "Changed root directory to ", "Allocated port ", "Local: ", "Remote: ",
			"refused local port forward: ", "refused streamlocal port forward: ", "terminating inactive connection from ",
			"Received request ", "Rhosts authentication refused for ", "Refusing certificate ID ", "refusing previously-used ",
			"Possible attack: ", "Invalid verification code", "Failed to ", "X11 ",
			"Successful Duo login for ", "Failed Duo login for ", "Skipped Duo login for ", "Aborted Duo login for ",
			"User '", "Maxstartups logging rate-limited: ", "PerSourcePenalties logging rate-limited: ",
			// Of connections, by the process that listens; SIGINFO has it list its penalties.
			"session process ", "preauth child ", "Session process ", "client ",
			// Of the daemon and its files.
			"reprocess config line ", "Deprecated ", "Unsafe Authorized", "Unsupported option ", "Missing privilege separation directory: ",
			"Privilege separation ", "sshd: no hostkeys available", "no hostkeys available", "Permissions ", "It is required that your private key",
			"This private key will be ignored", "key_load_", "sshkey_", "lastlog_", "login_", "syslogin_", "Attempt to write login records",
			"pam_setcred(): ", "do_cleanup", "chroot", "setsockopt ", "getpeername failed", "socket: ", "accept: ", "fork: ", "fork of ", "reexec ",
			"rekeying", "Rekeying", "RESTART FAILED: ", "chdir ", "/etc/ssh/", "/usr/local/etc/ssh/", "error in libcrypto",
			"AuthorizedKeysCommand ", "AuthorizedPrincipalsCommand ", "auth_", "channel ", "ssh_packet_", "sshpam_", "userauth_",
			"message authentication code incorrect", "Ssh: ", "SSH: Server;", "HPN ", "ssh_", "process_output", "Timeout before", "Connection refused by tcp wrapper",
			"no more sessions", "fatal_", "terminating, ", "daemon() failed", "bad addr or host", "getaddrinfo", "openpty", "chown /", "chmod /", "ioctl(", "bind: ", "bind [", "connect_to ",
			"dup2 ", "open /", "initgroups: ", "setlogin", "setresuid ", "setresgid ", "WARNING: 'UsePAM no' is not supported",
			"audit_", "linux_audit_", "BSM audit: ", "RSA_")
		ok = ok || sshdFunction(s) || sftpWords(s)
	}
	if !ok && !r.bare && strings.HasPrefix(s, "User ") {
		ok = strings.HasSuffix(s, " (root forced)") || strings.HasSuffix(s, " (password aged)")
	}
	if !ok && !r.bare { // "3 active ipv4 penalties"
		ok = strings.HasSuffix(s, " active ipv4 penalties") || strings.HasSuffix(s, " active ipv6 penalties")
	}
	if ok {
		r.Outcome = Other
	}
}

// sshdFunction reports whether a message begins with the name of one of sshd's own
// functions, or with debug1 and its like: what it says is of the daemon itself.
func sshdFunction(s string) bool {
	name, _, ok := strings.Cut(s[:min(len(s), 60)], ": ")
	if !ok || strings.IndexByte(name, '_') < 1 && !strings.HasPrefix(name, "debug") && name != "monitor" {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// sftpWords reports whether a message is of the file server inside sshd, which
// writes in sshd's name where a ChrootDirectory has no /dev/log.
func sftpWords(s string) bool {
	_, ok := cutAnyPrefix(s, `open "`, `close "`, `forced close "`, `opendir "`, `closedir "`, `remove name "`, `mkdir name "`, `rmdir name "`,
		`rename old "`, `posix-rename old "`, `symlink old "`, `hardlink old "`, `link old "`, `set "`, `lset "`, `statvfs "`, `fsync "`, `copy-data `,
		"received client version ", "sent status ")
	return ok
}

func cutAnyPrefix(s string, prefixes ...string) (rest string, ok bool) {
	for _, p := range prefixes {
		if rest, ok = strings.CutPrefix(s, p); ok {
			return rest, true
		}
	}
	return s, false
}

func cutAnySuffix(s string, suffixes ...string) (rest string, ok bool) {
	for _, p := range suffixes {
		if rest, ok = strings.CutSuffix(s, p); ok {
			return rest, true
		}
	}
	return s, false
}
