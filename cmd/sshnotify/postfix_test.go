package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// postfix is a real Postfix for one test, apart from the machine's own: with
// settings, a queue, a log and ports of its own, on loopback.
type postfix struct {
	t      *testing.T
	dir    string
	plain  string // address of a port without TLS
	tls    string // of one that offers STARTTLS
	early  string // of one that begins with TLS
	small  string // of one that takes mails of 500 bytes
	broken string // of one with a certificate for another name
	login  string // of one that offers STARTTLS and takes log-ins only
	safe   string // the same, beginning with TLS
	ca     string // file of the certificate that tls and early show
	policy policy
}

// policy is what Postfix asks about each recipient, as greylisting and quotas do
// (SMTPD_POLICY_README).
type policy struct {
	mu      sync.Mutex
	actions map[string]string // by recipient; missing: nothing against it
}

func (p *policy) set(recipient, action string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.actions[recipient] = action
}

func (p *policy) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			recipient := ""
			for lines := bufio.NewScanner(c); lines.Scan(); {
				if to, ok := strings.CutPrefix(lines.Text(), "recipient="); ok {
					recipient = to
				}
				if lines.Text() != "" {
					continue
				}
				p.mu.Lock()
				action := p.actions[recipient]
				p.mu.Unlock()
				if action == "" {
					action = "DUNNO"
				}
				fmt.Fprintf(c, "action=%s\n\n", action)
			}
		}()
	}
}

// selfSigned writes a certificate for a name or address, and its key.
func selfSigned(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// listenLow listens on a port below those that the kernel gives to connections,
// which could take it between here and Postfix.
func listenLow(t *testing.T) net.Listener {
	t.Helper()
	for range 100 {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+mathrand.IntN(12000))); err == nil {
			return l
		}
	}
	t.Fatal("no free port")
	return nil
}

// servePostfix starts one that takes mail for admin, grey, full and tiny at
// example.com. The last one's mailbox holds 20,000 bytes.
func servePostfix(t *testing.T) *postfix {
	t.Helper()
	e2e(t)
	const master = "/usr/lib/postfix/sbin/master"
	if _, err := os.Stat(master); err != nil || os.Getuid() != 0 {
		lacking(t, "Postfix, or no root to start it")
	}
	dir, err := os.MkdirTemp("", "sshnotify-postfix-") // t.TempDir's is open to nobody else
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &postfix{t: t, dir: dir, policy: policy{actions: map[string]string{}}}
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroup("postdrop")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(group.Gid)
	folder := func(name string, mode os.FileMode, uid, gid int) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", "etc", "spool", "spool/pid"} {
		folder(name, 0o755, 0, 0)
	}
	for _, name := range []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"} {
		folder("spool/"+name, 0o700, uid, 0)
	}
	folder("spool/maildrop", 0o730, uid, gid)
	folder("spool/public", 0o710, uid, gid)
	folder("lib", 0o700, uid, 0)
	folder("mail", 0o700, nobody, nobody)

	ask, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ask.Close() })
	go p.policy.serve(ask)

	cert, key := selfSigned(t, filepath.Join(dir, "etc"), "127.0.0.1")
	otherCert, otherKey := selfSigned(t, filepath.Join(dir, "etc"), "mail.example.com")
	p.ca = cert
	services := ""
	const logins = "-o smtpd_sasl_auth_enable=yes -o smtpd_client_restrictions=permit_sasl_authenticated,reject -o smtpd_sender_restrictions=reject_sender_login_mismatch"
	for address, options := range map[*string]string{
		&p.plain: "smtpd_tls_security_level=none", &p.tls: "smtpd_tls_security_level=encrypt", &p.early: "smtpd_tls_wrappermode=yes",
		&p.small:  "message_size_limit=500",
		&p.broken: "smtpd_tls_security_level=may -o smtpd_tls_chain_files=" + otherKey + "," + otherCert,
		&p.login:  "smtpd_tls_security_level=encrypt " + logins, &p.safe: "smtpd_tls_wrappermode=yes " + logins,
	} {
		l := listenLow(t)
		*address = l.Addr().String()
		defer l.Close() // when all have one, before Postfix starts
		services += *address + " inet n - n - - smtpd -o " + options + "\n"
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/lib
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = mail.example.com
mydestination =
mynetworks =
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
alias_maps =
virtual_mailbox_domains = example.com
virtual_mailbox_maps = inline:{ admin@example.com=admin/, grey@example.com=grey/, full@example.com=full/, tiny@example.com=tiny }
transport_maps = inline:{ tiny@example.com=tiny: }
virtual_mailbox_base = %[1]s/mail
virtual_uid_maps = static:%[2]d
virtual_gid_maps = static:%[2]d
smtpd_recipient_restrictions = reject_unlisted_recipient, check_policy_service inet:%[3]s
smtpd_reject_unlisted_sender = yes
smtpd_tls_chain_files = %[4]s, %[5]s
smtpd_peername_lookup = no
smtpd_sasl_local_domain = example.net
smtpd_sender_login_maps = inline:{ sshnotify@example.net=ops@example.net, boss@example.net=boss@example.net }
`, dir, nobody, ask.Addr(), key, cert))
	write("master.cf", services+`pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
tiny unix - n n - - virtual -o virtual_mailbox_limit=20000 -o message_size_limit=20000
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`)
	// Where Debian's looks. The passwords are kept as they are, and Cyrus makes of them
	// what each mechanism wants.
	folder("etc/sasl", 0o755, 0, 0)
	write("sasl/smtpd.conf", "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: "+dir+"/etc/sasldb\n")
	t.Cleanup(func() {
		if log, _ := os.ReadFile(filepath.Join(dir, "log")); t.Failed() {
			t.Logf("Postfix's log:\n%s", log)
		}
	})
	return p
}

// register lets somebody log in with a password.
func (p *postfix) register(user, password string) {
	p.t.Helper()
	const program = "/usr/sbin/saslpasswd2"
	if _, err := os.Stat(program); err != nil {
		lacking(p.t, "saslpasswd2 (sasl2-bin, libsasl2-modules)")
	}
	db := filepath.Join(p.dir, "etc", "sasldb")
	c := exec.Command(program, "-p", "-c", "-f", db, "-u", "example.net", user)
	c.Stdin = strings.NewReader(password)
	if out, err := c.CombinedOutput(); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	if err := os.Chmod(db, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// start runs Postfix until the test ends.
func (p *postfix) start() {
	p.t.Helper()
	c := exec.Command("/usr/lib/postfix/sbin/master", "-c", filepath.Join(p.dir, "etc"), "-d")
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that its children end with it
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		c.Wait()
	})
	for _, address := range []string{p.plain, p.tls, p.early, p.small, p.broken, p.login, p.safe} {
		until(p.t, "Postfix to listen", func() bool {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	}
}

// mails returns what is in a mailbox.
func (p *postfix) mails(mailbox string) (all []standin.ReadableMail) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.dir, "mail", mailbox, "new", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	slices.Sort(files)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatal(err)
		}
		m, err := standin.ReadMail(string(b))
		if err != nil {
			p.t.Fatalf("%v in\n%s", err, b)
		}
		all = append(all, m)
	}
	return all
}

// wait waits until n mails are in a mailbox.
func (p *postfix) wait(mailbox string, n int) []standin.ReadableMail {
	p.t.Helper()
	until(p.t, fmt.Sprintf("%d mails for %s", n, mailbox), func() bool { return len(p.mails(mailbox)) >= n })
	all := p.mails(mailbox)
	if len(all) != n {
		p.t.Errorf("%d mails for %s, want %d", len(all), mailbox, n)
	}
	return all
}

// mailSite is a site whose only destination is mail with these settings.
func mailSite(t *testing.T, more string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	s.spool, s.state, s.settings = filepath.Join(s.dir, "spool"), filepath.Join(s.dir, "state"), filepath.Join(s.dir, "config.toml")
	if err := os.Mkdir(s.spool, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.endWorkers)
	if !strings.Contains(more, "\nto =") {
		more += "to = \"admin@example.com\"\n"
	}
	if !strings.Contains(more, "\nfrom =") {
		more += "from = \"sshnotify@example.net\"\n"
	}
	s.configure(fmt.Sprintf("host = \"db1.example.com\"\ntime_zone = \"UTC\"\nstate_dir = %q\nspool_dir = %q\n%s\n[destination.mail]\n%s",
		s.state, s.spool, forgetful, more))
	return s
}

// One after the other: each has ports of its own.
func TestPostfix(t *testing.T) {
	t.Parallel()
	t.Run("answers", testPostfixAnswers)
	t.Run("log-ins", testPostfixLogIns)
	t.Run("greylisting", testPostfixGreylisting)
	t.Run("a full mailbox", testPostfixFullMailbox)
	t.Run("a mailbox that is found full later", testPostfixReturnsMail)
	t.Run("a lost QUIT", testPostfixLosesQuit)
	t.Run("sendmail", testPostfixSendmail)
}

// What a real Postfix has against a mail is told apart, with what to do.
func testPostfixAnswers(t *testing.T) {
	p := servePostfix(t)
	p.start()
	p.policy.set("grey@example.com", "DEFER_IF_PERMIT Greylisted, see http://postgrey.example/help")
	p.policy.set("full@example.com", "552 5.2.2 Mailbox is full")
	trusted := func(address, how string) string {
		return fmt.Sprintf("server = %q\ntls = %q\nca_file = %q\n", address, how, p.ca)
	}
	without := func(address string) string { return fmt.Sprintf("server = %q\ntls = \"none\"\n", address) }
	for _, tc := range []struct {
		name, settings string
		out, hint      string // empty: it was taken
	}{
		{"STARTTLS", trusted(p.tls, "starttls"), "", ""},
		{"TLS from the start", trusted(p.early, "tls"), "", ""},
		{"without TLS", without(p.plain), "", ""},
		{"a certificate that nobody signed", fmt.Sprintf("server = %q\n", p.tls), "certificate", "ca_file"},
		{"a certificate of another name", trusted(p.broken, "starttls"), "certificate", "certificate"},
		{"no STARTTLS there", trusted(p.plain, "starttls"), "offers no STARTTLS", `tls = "tls"`},
		{"TLS where STARTTLS is due", trusted(p.tls, "tls"), "TLS handshake", `tls = "starttls"`},
		{"STARTTLS is wanted, and none spoken", without(p.tls), "refuses the sender: 530", "log-in"},
		{"nobody of that name", without(p.plain) + "to = \"nobody@example.com\"\n", "refuses the recipient: 550", "address in to"},
		{"a domain of others", without(p.plain) + "to = \"admin@example.org\"\n", "refuses the recipient: 454", "log-in only"},
		{"greylisting", without(p.plain) + "to = \"grey@example.com\"\n", "wants the mail to come again (greylisting): 450", ""},
		{"a full mailbox", without(p.plain) + "to = \"full@example.com\"\n", "the mailbox is full: 552", "make room"},
		{"a mail that is too big", without(p.small), "refuses the mail: 552", ""},
		{"a log-in where none is", trusted(p.tls, "starttls") + "username = \"ops\"\npassword = \"swordfish\"\n", "offers no log-in", "take username and password away"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := mailSite(t, tc.settings)
			before := len(p.mails("admin"))
			r := s.run(nil, "test", "--config", s.settings, "mail")
			if tc.out == "" {
				if r.code != 0 {
					t.Fatalf("%+v", r)
				}
				if m := p.wait("admin", before+1)[before]; m.Subject != "Test message from sshnotify on host db1" {
					t.Errorf("subject %q", m.Subject)
				}
				return
			}
			if r.code != 1 || !strings.Contains(r.out, tc.out) || !strings.Contains(r.stderr, tc.hint) || (tc.hint == "") != (r.stderr == "") {
				t.Errorf("%+v; want %q, hint %q", r, tc.out, tc.hint)
			}
			if n := len(p.mails("admin")); n != before {
				t.Errorf("%d more mails", n-before)
			}
			if tc.name == "a mail that is too big" {
				return // seen only once there is one
			}
			if r := s.run(nil, "doctor", "--online", "--config", s.settings); !strings.Contains(r.out, tc.hint) {
				t.Errorf("doctor: %+v", r)
			}
		})
	}
}

// Every way to log in goes with what Cyrus SASL makes of it, over both kinds of TLS.
func testPostfixLogIns(t *testing.T) {
	p := servePostfix(t)
	p.register("ops", "swordfish")
	p.start()
	siteOf := func(t *testing.T, address, tls, more string) *site {
		return mailSite(t, fmt.Sprintf("server = %q\ntls = %q\nca_file = %q\n%s", address, tls, p.ca, more))
	}
	for _, way := range []struct{ tls, address string }{{"starttls", p.login}, {"tls", p.safe}} {
		for _, auth := range []string{"auto", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"} {
			t.Run(auth+" over "+way.tls, func(t *testing.T) {
				before := len(p.mails("admin"))
				with := func(password string) *site {
					return siteOf(t, way.address, way.tls, fmt.Sprintf("username = \"ops\"\npassword = %q\nauth = %q\n", password, auth))
				}
				s := with("swordfish")
				if r := s.run(nil, "test", "--config", s.settings, "mail"); r.code != 0 {
					t.Fatalf("%+v", r)
				}
				p.wait("admin", before+1)
				if r := s.run(nil, "doctor", "--online", "--config", s.settings); !strings.Contains(r.out, "over TLS as ops takes mail for admin@example.com") {
					t.Errorf("doctor: %+v", r)
				}
				s = with("sw0rdfish")
				for _, r := range []result{s.run(nil, "test", "--config", s.settings, "mail"), s.run(nil, "doctor", "--online", "--config", s.settings)} {
					if r.code != 1 || !strings.Contains(r.out, "refuses the log-in: 535") || !strings.Contains(r.out+r.stderr, "see whether username and password are right") || strings.Contains(r.out+r.stderr, "sw0rdfish") {
						t.Errorf("a wrong password: %+v", r)
					}
				}
				p.wait("admin", before+1)
			})
		}
	}
	for _, tc := range []struct{ name, settings, out, hint string }{
		{"no log-in", "", "refuses the recipient: 554", "set username and password_file"},
		{"the address of somebody else", "username = \"ops\"\npassword = \"swordfish\"\nfrom = \"boss@example.net\"\n", "refuses the sender: 553", "set from to an address that the server lets this log-in send as"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := siteOf(t, p.login, "starttls", tc.settings)
			for _, r := range []result{s.run(nil, "test", "--config", s.settings, "mail"), s.run(nil, "doctor", "--online", "--config", s.settings)} {
				if r.code != 1 || !strings.Contains(r.out, tc.out) || !strings.Contains(r.out+r.stderr, tc.hint) {
					t.Errorf("%+v; want %q, hint %q", r, tc.out, tc.hint)
				}
			}
		})
	}
}

// Quotas are asked as Dovecot's quota-status answers them. What may pass is waited
// for; what the server says for good is a dead letter of that recipient alone, which
// goes out once there is room.
func testPostfixFullMailbox(t *testing.T) {
	p := servePostfix(t)
	p.start()
	for _, tc := range []struct {
		name, answer string
		code         int
		folder       string // of the spool, where it waits
	}{
		{"for now", "452 4.2.2 Mailbox is full", 75, "cur"},
		{"for good", "552 5.2.2 Mailbox is full", 0, "failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p.policy.set("full@example.com", tc.answer)
			admin, full := len(p.mails("admin")), len(p.mails("full"))
			s := mailSite(t, fmt.Sprintf("server = %q\nca_file = %q\nto = [\"full@example.com\", \"admin@example.com\"]\n", p.tls, p.ca))
			s.login("alice", netip.MustParseAddr("203.0.113.7"))
			if r := s.deliver("--once"); r.code != tc.code || !strings.Contains(r.stderr, "the mailbox is full") {
				t.Errorf("%+v", r)
			}
			m := p.wait("admin", admin+1)[admin]
			if left := s.left(tc.folder); len(left) == 0 {
				t.Errorf("nothing in %s/", tc.folder)
			}
			if r := s.run(nil, "queue", "--config", s.settings); !strings.Contains(r.out, "the mailbox is full") {
				t.Errorf("queue does not say why: %+v", r)
			}
			p.policy.set("full@example.com", "")
			if r := s.run(nil, "queue", "retry", "--no-worker", "--config", s.settings); r.code != 0 {
				t.Errorf("%+v", r)
			}
			s.mustDeliver() // it had an hour to wait
			if again := p.wait("full", full+1)[full]; again.Header.Get("Message-Id") != m.Header.Get("Message-Id") {
				t.Errorf("the second mail: %v", again.Header)
			}
			p.wait("admin", admin+1)
		})
	}
}

// What a server takes and can't put into the mailbox it returns to the sender.
func testPostfixReturnsMail(t *testing.T) {
	p := servePostfix(t)
	p.start()
	mailbox := filepath.Join(p.dir, "mail", "tiny")
	if err := os.WriteFile(mailbox, bytes.Repeat([]byte("x\n"), 9_990), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(mailbox, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	s := mailSite(t, fmt.Sprintf("server = %q\ntls = \"none\"\nfrom = \"admin@example.com\"\nto = \"tiny@example.com\"\n", p.plain))
	s.login("alice", netip.MustParseAddr("203.0.113.7"))
	s.mustDeliver()
	back := ""
	until(t, "the mail to come back", func() bool {
		files, _ := filepath.Glob(filepath.Join(p.dir, "mail", "admin", "new", "*"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			back += string(b)
		}
		return back != ""
	})
	if !strings.Contains(back, "Status: 5.2.2") || !strings.Contains(back, "alice") {
		t.Errorf("came back: %s", back)
	}
}

// A greylisted recipient gets the mail in the end, and the others get it once.
func testPostfixGreylisting(t *testing.T) {
	p := servePostfix(t)
	p.start()
	p.policy.set("grey@example.com", "DEFER_IF_PERMIT Greylisted, see http://postgrey.example/help")
	s := mailSite(t, fmt.Sprintf("server = %q\nca_file = %q\nto = [\"grey@example.com\", \"admin@example.com\"]\n", p.tls, p.ca))
	s.login("alice", netip.MustParseAddr("203.0.113.7"))
	if r := s.deliver("--once"); r.code != 75 {
		t.Errorf("%+v", r)
	}
	m := p.wait("admin", 1)[0]
	if !strings.Contains(m.Subject, "alice → db1") || m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Return-Path") != "<sshnotify@example.net>" {
		t.Errorf("subject %q, header %v", m.Subject, m.Header)
	}
	if r := s.run(nil, "queue", "--config", s.settings, "--json"); !strings.Contains(r.out, "admin@example.com reached") {
		t.Errorf("queue does not say who has it: %+v", r)
	}
	p.policy.set("grey@example.com", "")
	if r := s.run(nil, "queue", "retry", "--no-worker", "--config", s.settings); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if r := s.deliver("--once"); r.code != 0 { // it had five minutes to wait
		t.Errorf("%+v", r)
	}
	if again := p.wait("grey", 1)[0]; again.Header.Get("Message-Id") != m.Header.Get("Message-Id") || again.Header.Get("To") != "<grey@example.com>" {
		t.Errorf("the second mail: %v", again.Header)
	}
	p.wait("admin", 1)
}

// Where the answer to QUIT is lost, the mail was taken, and is not sent again.
func testPostfixLosesQuit(t *testing.T) {
	p := servePostfix(t)
	p.start()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cut := make(chan bool, 10)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", p.plain)
			if err != nil {
				client.Close()
				continue
			}
			go func() {
				defer client.Close()
				defer server.Close()
				for lines := bufio.NewReader(client); ; {
					line, err := lines.ReadString('\n')
					if err != nil || line == "QUIT\r\n" {
						cut <- err == nil
						return
					}
					fmt.Fprint(server, line)
				}
			}()
			go func() { bufio.NewReader(server).WriteTo(client) }()
		}
	}()
	s := mailSite(t, fmt.Sprintf("server = %q\ntls = \"none\"\n", l.Addr()))
	s.login("alice", netip.MustParseAddr("203.0.113.7"))
	s.mustDeliver()
	if !<-cut {
		t.Error("there was no QUIT")
	}
	p.wait("admin", 1)
	if left := s.left("cur"); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

// The host's own program takes mail, too.
func testPostfixSendmail(t *testing.T) {
	p := servePostfix(t)
	p.start()
	program := filepath.Join(p.dir, "sendmail")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec /usr/sbin/sendmail -C "+p.dir+"/etc \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := mailSite(t, fmt.Sprintf("server = %q\n", program))
	s.login("alice", netip.MustParseAddr("203.0.113.7"))
	s.mustDeliver()
	m := p.wait("admin", 1)[0]
	if !strings.Contains(m.Subject, "alice → db1") || m.Header.Get("Return-Path") != "<sshnotify@example.net>" || !strings.Contains(m.Text, "203.0.113.7") {
		t.Errorf("subject %q, header %v\n%s", m.Subject, m.Header, m.Text)
	}
}
