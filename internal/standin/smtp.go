package standin

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net"
	"strings"
	"sync"
	"time"
)

// Mail is a mail as a server got it.
type Mail struct {
	From, To string // of the envelope
	Data     string // without the stuffed dots
}

// SMTPOptions says what kind of a server it is.
type SMTPOptions struct {
	TLS      *tls.Config
	Implicit bool   // TLS from the start, and not by STARTTLS
	User     string // who may log in, and with which password; "": no log-in is asked for
	Password string
	Auth     string // the mechanisms offered: "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256"
	// Behave scripts the answer to a command (in capitals; "." is the end of a
	// mail, "" the connection) and its argument. "" is the usual answer, Hang
	// none, HangUp the end of the connection. It may be called concurrently.
	Behave func(verb, arg string) string
}

// What Behave may answer beside lines.
const (
	Hang   = "\x00hang"
	HangUp = "\x00hang up"
)

// SMTP is a stand-in for a server that takes mail (RFC 5321), as strict as it
// says: about line ends, the order of commands, lengths, and bytes above 127.
type SMTP struct {
	o       SMTPOptions
	ln      net.Listener
	mails   ledger[Mail]
	faults  ledger[string]
	running sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc
}

// StartSMTP starts one on a free port of 127.0.0.1. The caller must Close it.
func StartSMTP(o SMTPOptions) (*SMTP, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &SMTP{o: o, ln: ln}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.serve(c) })
		}
	})
	return s, nil
}

// Addr is host:port.
func (s *SMTP) Addr() string { return s.ln.Addr().String() }

// Mails are those that were taken, in their order.
func (s *SMTP) Mails() []Mail { return s.mails.all() }

// Wait returns when there are n mails.
func (s *SMTP) Wait(ctx context.Context, n int) error { return s.mails.wait(ctx, n) }

// Faults are what clients did that no server has to take.
func (s *SMTP) Faults() []string { return s.faults.all() }

// Close ends all connections, and returns when nothing runs any more.
func (s *SMTP) Close() {
	s.ln.Close()
	s.cancel()
	s.running.Wait()
	s.mails.close()
}

// smtpConn is one connection.
type smtpConn struct {
	s        *SMTP
	conn     net.Conn
	r        *bufio.Reader
	secure   bool
	greeted  bool
	loggedIn bool
	from, to string
	gone     bool
}

func (s *SMTP) serve(c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(s.ctx, func() { c.Close() })
	defer stop()
	n := &smtpConn{s: s, conn: c, r: bufio.NewReader(c)}
	if s.o.Implicit {
		n.startTLS()
	}
	n.answer("", "", "220 stand-in ESMTP")
	if first, err := n.r.Peek(1); err == nil && first[0] == 0x16 && !n.gone { // a client that begins with TLS
		n.say("500 5.5.1 no TLS here")
		return
	}
	for !n.gone {
		line, ok := n.line(512)
		if !ok {
			return
		}
		verb, arg, _ := strings.Cut(line, " ")
		n.command(strings.ToUpper(verb), arg)
	}
}

func (n *smtpConn) startTLS() {
	over := tls.Server(n.conn, n.s.o.TLS)
	if over.HandshakeContext(n.s.ctx) != nil {
		n.gone = true
	}
	n.conn, n.r, n.secure, n.greeted = over, bufio.NewReader(over), true, false
}

// line reads one of at most max bytes with its end.
func (n *smtpConn) line(max int) (string, bool) {
	n.conn.SetReadDeadline(time.Now().Add(readTimeout))
	line, err := n.r.ReadString('\n')
	if err != nil {
		return "", false
	}
	if !strings.HasSuffix(line, "\r\n") || strings.Count(line, "\r") > 1 {
		n.s.faults.add(fmt.Sprintf("a line that does not end in CR LF: %q", line))
	}
	if len(line) > max {
		n.s.faults.add(fmt.Sprintf("a line of %d bytes", len(line)))
	}
	for i := range len(line) {
		if line[i] >= 0x80 || line[i] == 0 {
			n.s.faults.add(fmt.Sprintf("a byte that is not of ASCII: %q", line))
			break
		}
	}
	return strings.TrimRight(line, "\r\n"), true
}

// answer gives an answer, or the one that Behave has, and reports whether it was
// the first.
func (n *smtpConn) answer(verb, arg, usual string) bool {
	say := usual
	if n.s.o.Behave != nil {
		if other := n.s.o.Behave(verb, arg); other != "" {
			say = other
		}
	}
	switch say {
	case HangUp:
		n.gone = true
		n.conn.Close()
		return false
	case Hang:
		<-n.s.ctx.Done()
		n.gone = true
		return false
	}
	n.say(say)
	return say == usual
}

func (n *smtpConn) say(text string) {
	fmt.Fprintf(n.conn, "%s\r\n", strings.ReplaceAll(text, "\n", "\r\n"))
}

func (n *smtpConn) fault(verb, why string) {
	n.s.faults.add(verb + ": " + why)
	n.say("503 5.5.1 " + why)
}

func (n *smtpConn) command(verb, arg string) {
	o := n.s.o
	switch verb {
	case "EHLO":
		lines := []string{"stand-in", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"}
		if o.TLS != nil && !n.secure {
			lines = append(lines, "STARTTLS")
		}
		if o.User != "" && (n.secure || o.TLS == nil) {
			lines = append(lines, "AUTH "+o.Auth)
		}
		if arg == "" || strings.ContainsAny(arg, " _") || arg == "localhost" {
			n.fault(verb, "not a name")
			return
		}
		n.greeted = true
		for i, l := range lines {
			sep := "-"
			if i == len(lines)-1 {
				sep = " "
			}
			lines[i] = "250" + sep + l
		}
		n.answer(verb, arg, strings.Join(lines, "\n"))
	case "STARTTLS":
		if o.TLS == nil || n.secure {
			n.fault(verb, "not offered")
			return
		}
		if n.answer(verb, arg, "220 2.0.0 go on") {
			n.startTLS()
		}
	case "AUTH":
		if !n.greeted || o.User == "" || o.TLS != nil && !n.secure {
			n.fault(verb, "not now")
			return
		}
		mechanism, first, _ := strings.Cut(arg, " ")
		switch right := n.authenticate(mechanism, first); {
		case n.gone:
		case right:
			n.loggedIn = n.answer(verb, mechanism, "235 2.7.0 welcome")
		default:
			n.answer(verb, mechanism, "535 5.7.8 authentication failed")
		}
	case "MAIL":
		address, ok := envelope(arg, "FROM:")
		switch {
		case !n.greeted || n.from != "" || o.TLS != nil && !n.secure:
			n.fault(verb, "not now")
		case !ok:
			n.fault(verb, "not an address")
		case o.User != "" && !n.loggedIn:
			n.answer(verb, arg, "530 5.7.0 Authentication required")
		case n.answer(verb, arg, "250 2.1.0 ok"):
			n.from = address
		}
	case "RCPT":
		address, ok := envelope(arg, "TO:")
		switch {
		case n.from == "":
			n.fault(verb, "not now")
		case !ok:
			n.fault(verb, "not an address")
		case n.answer(verb, arg, "250 2.1.5 ok"):
			n.to = address
		}
	case "DATA":
		if n.to == "" {
			n.fault(verb, "not now")
		} else if n.answer(verb, arg, "354 go on") {
			n.data()
		}
	case "RSET":
		n.from, n.to = "", ""
		n.answer(verb, arg, "250 2.0.0 ok")
	case "NOOP":
		n.answer(verb, arg, "250 2.0.0 ok")
	case "QUIT":
		n.answer(verb, arg, "221 2.0.0 bye")
		n.gone = true
	case "*": // ends a log-in that failed already
		n.answer(verb, arg, "501 5.7.0 as you like")
	default:
		n.fault(verb, "not known")
	}
}

// envelope reads FROM:<a@b> and what may follow.
func envelope(arg, prefix string) (address string, ok bool) {
	rest, ok := strings.CutPrefix(arg, prefix+"<")
	address, _, closed := strings.Cut(rest, ">")
	return address, ok && closed && strings.Count(address, "@") == 1
}

func (n *smtpConn) data() {
	m := Mail{From: n.from, To: n.to}
	var b strings.Builder
	for {
		line, ok := n.line(1000)
		if !ok {
			return
		}
		if line == "." {
			break
		}
		b.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
	m.Data = b.String()
	// It has the mail, whether or not its client hears of that.
	usual, say := "250 2.0.0 taken", ""
	if n.s.o.Behave != nil {
		say = n.s.o.Behave(".", m.Data)
	}
	if say == "" || say == Hang || say == HangUp {
		n.s.mails.add(m)
	}
	n.from, n.to = "", ""
	switch say {
	case "":
		n.say(usual)
	case HangUp:
		n.gone = true
	case Hang:
		<-n.s.ctx.Done()
		n.gone = true
	default:
		n.say(say)
	}
}

// ask sends a challenge and returns the answer to it.
func (n *smtpConn) ask(challenge string) string {
	n.say("334 " + base64.StdEncoding.EncodeToString([]byte(challenge)))
	line, ok := n.line(12288)
	if !ok {
		n.gone = true
	}
	return decode64(line)
}

func decode64(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return ""
	}
	return string(b)
}

func (n *smtpConn) authenticate(mechanism, first string) bool {
	o := n.s.o
	if first == "" && (mechanism == "PLAIN" || strings.HasPrefix(mechanism, "SCRAM")) {
		first = base64.StdEncoding.EncodeToString([]byte(n.ask("")))
	}
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	switch mechanism {
	case "PLAIN": // RFC 4616
		return same(decode64(first), "\x00"+o.User+"\x00"+o.Password)
	case "LOGIN": // draft-murchison-sasl-login
		user := decode64(first)
		if first == "" {
			user = n.ask("Username:")
		}
		return same(n.ask("Password:"), o.Password) && same(user, o.User)
	case "CRAM-MD5": // RFC 2195
		challenge := "<1896.697170952@stand-in>"
		mac := hmac.New(md5.New, []byte(o.Password))
		mac.Write([]byte(challenge))
		return same(n.ask(challenge), o.User+" "+hex.EncodeToString(mac.Sum(nil)))
	case "SCRAM-SHA-1":
		return n.scram(sha1.New, decode64(first))
	case "SCRAM-SHA-256":
		return n.scram(sha256.New, decode64(first))
	}
	return false
}

// scram is the server's side of RFC 5802, without a bound channel.
func (n *smtpConn) scram(h func() hash.Hash, first string) bool {
	bare, ok := strings.CutPrefix(first, "n,,")
	_, nonce, ok2 := strings.Cut(bare, ",r=")
	if !ok || !ok2 || !strings.HasPrefix(bare, "n="+n.s.o.User+",") {
		return false
	}
	salt, rounds := []byte("salt of the stand-in"), 4096
	offer := fmt.Sprintf("r=%sstandin,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString(salt), rounds)
	last := n.ask(offer)
	unproved, proof, ok := strings.Cut(last, ",p=")
	if !ok || unproved != "c=biws,r="+nonce+"standin" {
		return false
	}
	mac := func(key []byte, text string) []byte {
		m := hmac.New(h, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	salted, err := pbkdf2.Key(h, n.s.o.Password, salt, rounds, h().Size())
	if err != nil {
		return false
	}
	clientKey := mac(salted, "Client Key")
	sum := h()
	sum.Write(clientKey)
	all := bare + "," + offer + "," + unproved
	signature := mac(sum.Sum(nil), all)
	for i := range signature {
		signature[i] ^= clientKey[i]
	}
	if decode64(proof) != string(signature) {
		return false
	}
	n.ask("v=" + base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), all)))
	return true
}
