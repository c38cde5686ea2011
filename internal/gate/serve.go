package gate

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// HTTP are the settings of codes for other programs: a web login, a VPN.
type HTTP struct {
	Listen    string            `toml:"listen,required"` // host:port; without TLS on loopback only
	CertFile  string            `toml:"cert_file" check:"file"`
	KeyFile   string            `toml:"key_file" check:"file"`
	StateDir  string            `toml:"state_dir" check:"path"` // secrets and counters, of whoever runs it
	Clients   map[string]Client `toml:"client,required" each:"client"`
	SeedPaths bool              `toml:"seed_paths"` // numbers and codes in the path, and so in logs
	Reject    string            `toml:"reject" check:"oneof=rejected busy"`
	AuthToken outbound.Secret   `toml:"auth_token,secret"` // of the Twilio account, which signs its requests
	PublicURL string            `toml:"public_url"`        // as Twilio has it, up to the path
}

// CodesState is where codes for other programs keep secrets and counters by default.
const CodesState = "/var/lib/sshnotify-codes"

// Client is a program that may have codes sent.
type Client struct {
	Token outbound.Secret `toml:"token,required,secret"`
	Users []string        `toml:"users"` // people that it may ask for; none: all
}

// minToken is the least length of a token: 128 bits as hexadecimal digits.
const minToken = 32

// Validate looks for what would be an open door.
func (h *HTTP) Validate(at strictoml.At) {
	if !at.OK() {
		return
	}
	host, _, err := net.SplitHostPort(h.Listen)
	ip := net.ParseIP(host)
	switch {
	case err != nil:
		at.Fail("listen", "must be an address and a port such as \"127.0.0.1:8347\"")
	case (h.CertFile == "") != (h.KeyFile == ""):
		at.Fail("cert_file", "needs key_file, and that one cert_file")
	case h.CertFile == "" && !ip.IsLoopback():
		at.Fail("listen", "without cert_file and key_file it listens on this machine only").Hint = `listen = "127.0.0.1:8347"`
	}
	for _, name := range slices.Sorted(maps.Keys(h.Clients)) {
		if t := h.Clients[name].Token.Reveal(); len(t) < minToken {
			at.Fail("client."+name+".token", "must have %d characters or more", minToken).Hint = "openssl rand -hex 32 makes one"
		}
	}
	if !h.AuthToken.IsZero() && h.PublicURL == "" {
		at.Fail("auth_token", "needs public_url: the signature is of the URL that Twilio asks")
	}
}

// Server is codes for other programs. It answers alike whether a number is known, a
// code wrong, used or expired: only those who get the code learn which.
type Server struct {
	HTTP
	Rules   Rules
	Senders map[string]Sender
	People  policy.People
	Host    string
	Now     func() time.Time
	Log     *slog.Logger

	sending sync.WaitGroup

	// counting is held while a request is counted, so that one about a number that
	// nobody has waits as long as one about a number of the table.
	counting sync.Mutex
	unknown  map[string]map[string]*stranger // by client and number

	mu     sync.Mutex
	spoken map[string]spoken // what Twilio comes to fetch, by number; of seed_paths
}

type spoken struct {
	code  string
	until time.Time
}

// stranger is what is counted of a number that nobody has, as the vault does of others.
type stranger struct {
	Account
	asked time.Time // last
}

// maxUnknown is how many numbers that nobody has a client may ask for within
// unknownFor. Those are kept, since what is forgotten would be counted anew, as a
// number of the table is not.
const (
	maxUnknown = 10_000
	unknownFor = 24 * time.Hour
)

// Handler returns the routes. All but /healthz take POST alone: what a GET does,
// every link preview does.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("POST /sms", s.withClient(func(w http.ResponseWriter, r *http.Request, c string) { s.send(w, r, c, FactorSMS, "") }))
	mux.HandleFunc("POST /voice", s.withClient(func(w http.ResponseWriter, r *http.Request, c string) { s.send(w, r, c, FactorVoice, "") }))
	mux.HandleFunc("POST /auth", s.withClient(func(w http.ResponseWriter, r *http.Request, c string) { s.auth(w, r, c, "", "") }))
	mux.HandleFunc("POST /twilio/voice", s.incoming)
	if s.SeedPaths {
		mux.HandleFunc("POST /sms/{number}", s.withClient(func(w http.ResponseWriter, r *http.Request, c string) {
			s.send(w, r, c, FactorSMS, r.PathValue("number"))
		}))
		mux.HandleFunc("POST /voice/{number}", s.withClient(func(w http.ResponseWriter, r *http.Request, c string) {
			s.send(w, r, c, FactorVoice, r.PathValue("number"))
		}))
		mux.HandleFunc("POST /auth/{number}/{token}", s.withClient(func(w http.ResponseWriter, r *http.Request, c string) {
			s.auth(w, r, c, r.PathValue("number"), r.PathValue("token"))
		}))
		mux.HandleFunc("POST /who/{number}", s.who)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		mux.ServeHTTP(w, r)
	})
}

// maxRequest is what a request may have, in bytes.
const maxRequest = 4 << 10

// Wait returns once all codes are on their way.
func (s *Server) Wait() { s.sending.Wait() }

// withClient lets those in who have a token. do gets the name of the client.
func (s *Server) withClient(do func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		given, found := sha256.Sum256([]byte(token)), ""
		for name, c := range s.Clients { // all of them, so that it takes as long for each
			want := sha256.Sum256([]byte(c.Token.Reveal()))
			if subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
				found = name
			}
		}
		if !ok || found == "" {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a client's token is missing or wrong", http.StatusUnauthorized)
			return
		}
		do(w, r, found)
	}
}

// asked is what a client sends.
type asked struct{ Number, Token string }

// read takes JSON or a form, or the path's values. What could be read in two ways, by
// us and by what stands in front, is refused: a value that is there twice, a key that
// is not ours, and anything in the query, which is logged as well.
func read(r *http.Request, number, token string) (asked, error) {
	if r.URL.RawQuery != "" {
		return asked{}, errors.New("nothing may stand in the query")
	}
	given := map[string]string{"number": number, "token": token}
	if number == "" {
		var err error
		if given, err = body(r); err != nil {
			return asked{}, err
		}
	} else if n, err := r.Body.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return asked{}, errors.New("the path says it all: the body must be empty")
	}
	a := asked{given["number"], given["token"]}
	if digits, ok := strings.CutPrefix(a.Number, "+"); !ok || len(digits) < 7 || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
		return a, errors.New(`number must be an international one such as "+353000000012"`)
	}
	return a, nil
}

// bodyKeys are those of a body. A client may send back the ref that it got.
func bodyKeys() []string { return []string{"number", "token", "ref"} }

func body(r *http.Request) (map[string]string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		return object(json.NewDecoder(r.Body))
	case err != nil || kind != "application/x-www-form-urlencoded":
		return nil, errors.New("the content type is neither application/json nor a form")
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	given := map[string]string{}
	for key, values := range r.PostForm {
		if len(values) != 1 || !slices.Contains(bodyKeys(), key) {
			return nil, fmt.Errorf("%q is no key, or there twice", key)
		}
		given[key] = values[0]
	}
	return given, nil
}

// object reads a JSON object of texts. encoding/json takes the last of two values of a
// key, whatever its case, and stops at the end of the first value.
func object(d *json.Decoder) (map[string]string, error) {
	given := map[string]string{}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the body is no JSON object")
	}
	for d.More() {
		t, err := d.Token()
		key, _ := t.(string)
		if _, twice := given[key]; err != nil || twice || !slices.Contains(bodyKeys(), key) {
			return nil, fmt.Errorf("%q is no key, or there twice", key)
		}
		value, err := d.Token()
		text, ok := value.(string)
		if err != nil || !ok {
			return nil, fmt.Errorf("%s must be a text", key)
		}
		given[key] = text
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind the JSON object")
	}
	return given, nil
}

// owner returns who has a number, among those whom the client may ask for.
func (s *Server) owner(client, number string) (person string, known bool) {
	users := s.Clients[client].Users
	for _, name := range slices.Sorted(maps.Keys(s.People)) {
		if s.People[name].Phone == number && (len(users) == 0 || slices.Contains(users, name)) {
			return name, true
		}
	}
	return "", false
}

// account is the name under which the vault keeps a number's counters.
func account(number string) string { return "number " + number }

// nobody is that of all numbers that nobody has.
const nobody = "number unknown"

// Unlock takes codes of a number again after too many wrong ones: it forgets what
// codes for other programs keep of it in a folder.
func Unlock(stateDir, number string) error { return NewVault(stateDir).Remove(account(number)) }

func (s *Server) vault() *Vault          { return NewVault(s.StateDir) }
func (s *Server) challenges() challenges { return challenges{s.StateDir} }

// challengeOf is the name of a client's challenge: a code that one has sent is no code
// for another.
func challengeOf(client, number string) string {
	sum := sha256.Sum256([]byte(client + "\x00" + number))
	return hex.EncodeToString(sum[:16])
}

// counted are the names under which a request is counted on disk. All numbers that
// nobody has share them: who asks for numbers must fill no disk.
func counted(client, number string, known bool) (acc, challenge string) {
	if !known {
		number = nobody
	}
	return account(number), challengeOf(client, number)
}

// send answers before the code is out, since for a number that nobody has there is
// none to wait for.
func (s *Server) send(w http.ResponseWriter, r *http.Request, client, factor, number string) {
	a, err := read(r, number, "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name, known := s.owner(client, a.Number)
	m := Message{Code: newCode(), Ref: newRef(), User: name, Host: s.Host, Program: client, Life: s.Rules.CodeTTL, To: a.Number}
	err = s.begin(r.Context(), client, known, Challenge{User: name, Factor: factor, Ref: m.Ref, Made: s.Now().UTC()}, m)
	if errors.Is(err, errLimit) {
		tooMany(w, s.Rules.Sends.Per)
		return
	} else if err != nil {
		s.trouble(w, "the counters can't be kept", err)
		return
	}
	if known {
		s.sending.Go(func() { s.deliver(context.WithoutCancel(r.Context()), factor, m) })
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]any{"ref": m.Ref, "expires_in": int(s.Rules.CodeTTL / time.Second)})
}

// begin counts a code, and keeps it. For a number that nobody has it takes as long,
// and what it keeps opens nothing.
func (s *Server) begin(ctx context.Context, client string, known bool, ch Challenge, m Message) error {
	s.counting.Lock()
	defer s.counting.Unlock()
	unknown, err := s.ofUnknown(client, m.To, known)
	if err != nil {
		return err
	}
	acc, id := counted(client, m.To, known)
	if err := s.vault().spend(ctx, acc, unknown, s.Now(), s.Rules.Sends, s.Rules.SendsPerDay); err != nil {
		return err
	}
	return s.challenges().update(ctx, id, func(old *Challenge) error {
		ch.sealWith(m.Code)
		*old = ch
		return nil
	})
}

func tooMany(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	http.Error(w, "too many codes, or too many wrong ones", http.StatusTooManyRequests)
}

// newRef returns what a code is called on both sides.
func newRef() string {
	b := make([]byte, 4)
	rand.Read(b)
	return recoveryEncoding.EncodeToString(b)[:4]
}

func (s *Server) deliver(ctx context.Context, factor string, m Message) {
	if s.SeedPaths && factor == FactorVoice {
		s.mu.Lock()
		if s.spoken == nil {
			s.spoken = map[string]spoken{}
		}
		s.spoken[m.To] = spoken{m.Code, s.Now().Add(m.Life)}
		s.mu.Unlock()
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	sender := s.Senders[factor]
	if sender == nil {
		s.Log.Error("no code goes out, because the settings have no [gate.twilio]", "ref", m.Ref)
		return
	}
	if err := sender.Send(ctx, m); err != nil {
		s.Log.Error("a code was not sent", "factor", factor, "ref", m.Ref, "person", m.User, "error", err)
		return
	}
	s.Log.Info("a code was sent", "factor", factor, "ref", m.Ref, "person", m.User)
}

func (s *Server) trouble(w http.ResponseWriter, what string, err error) {
	s.Log.Error(what, "error", err)
	http.Error(w, "it does not work at the moment", http.StatusInternalServerError)
}

// lockedFor is what a client is told to wait. Codes stay locked until somebody unlocks
// them; but a number that nobody has can't be said to be.
const lockedFor = time.Hour

// auth says whether a code is right: 200 with nothing in it, or 403 whatever is wrong.
func (s *Server) auth(w http.ResponseWriter, r *http.Request, client, number, token string) {
	a, err := read(r, number, token)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name, known := s.owner(client, a.Number)
	right, locked, err := s.compare(r.Context(), client, name, known, a)
	switch {
	case errors.Is(err, errLimit):
		tooMany(w, lockedFor)
	case err != nil:
		s.trouble(w, "the counters can't be kept", err)
	case locked:
		tooMany(w, lockedFor)
	case right:
		s.Log.Info("a code was right", "person", name, "client", client)
	default:
		http.Error(w, "no", http.StatusForbidden)
	}
}

// compare counts a try, and compares then.
func (s *Server) compare(ctx context.Context, client, name string, known bool, a asked) (right, locked bool, err error) {
	s.counting.Lock()
	defer s.counting.Unlock()
	unknown, err := s.ofUnknown(client, a.Number, known)
	if err != nil {
		return false, false, err
	}
	code, now := typed(a.Token), s.Now()
	counter, id := counted(client, a.Number, known)
	err = s.vault().Update(ctx, counter, func(acc *Account) error {
		if !known {
			acc = unknown
		}
		if locked = !acc.Locked.IsZero(); !locked {
			if acc.Failures++; acc.Failures > s.Rules.LockAfter {
				acc.Locked, locked = now.UTC(), true
			}
		}
		return nil
	})
	if err != nil {
		return false, false, err
	}
	err = s.challenges().update(ctx, id, func(ch *Challenge) error {
		ch.Tries++
		right = ch.opens(code, now, s.Rules.CodeTTL) && known && !locked && ch.User == name && !ch.Passed && ch.Tries <= s.Rules.Tries && isCode(code)
		if right {
			ch.Passed, ch.Sum, ch.Salt = true, nil, nil
		}
		return nil
	})
	if err != nil || !right {
		return false, locked, err
	}
	return true, false, s.vault().Update(ctx, counter, func(acc *Account) error {
		acc.Failures = 0
		return nil
	})
}

// ofUnknown returns what is counted of a number that nobody has, which is refused as
// soon as any other; nil for one of the table. errLimit means that the client has
// asked for more of those than anybody has to, and gets no more answers.
func (s *Server) ofUnknown(client, number string, known bool) (*Account, error) {
	all, now := s.unknown[client], s.Now()
	if len(all) >= maxUnknown {
		maps.DeleteFunc(all, func(_ string, a *stranger) bool { return now.Sub(a.asked) > unknownFor })
	}
	if len(all) >= maxUnknown {
		s.Log.Error("a client asked for too many numbers that nobody has, and is refused", "client", client, "numbers", maxUnknown, "within", unknownFor)
		return nil, errLimit
	}
	if known {
		return nil, nil
	}
	a := all[number]
	if a == nil {
		if all == nil {
			all = map[string]*stranger{}
		}
		if s.unknown == nil {
			s.unknown = map[string]map[string]*stranger{}
		}
		a = new(stranger)
		all[number], s.unknown[client] = a, all
	}
	a.asked = now
	return &a.Account, nil
}

// incoming refuses a call to our number before it is answered, and so costs.
func (s *Server) incoming(w http.ResponseWriter, r *http.Request) {
	if !s.signed(r) {
		http.Error(w, "not signed by Twilio", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<Response><Reject reason=%q/></Response>`, cmp.Or(s.Reject, "rejected"))
}

// who is what Twilio asks in a call, once.
func (s *Server) who(w http.ResponseWriter, r *http.Request) {
	if !s.signed(r) {
		http.Error(w, "not signed by Twilio", http.StatusForbidden)
		return
	}
	number := r.PathValue("number")
	w.Header().Set("Content-Type", "text/xml")
	s.mu.Lock()
	code, there := s.spoken[number]
	if r.PostForm.Get("To") != number || !there || !s.Now().Before(code.until) {
		s.mu.Unlock()
		fmt.Fprint(w, `<Response><Reject/></Response>`) // another call, or one too late
		return
	}
	delete(s.spoken, number)
	s.mu.Unlock()
	fmt.Fprint(w, Message{Code: code.code}.Spoken())
}

// signed reports whether Twilio signed a request
// (https://www.twilio.com/docs/usage/security#validating-requests): the URL, with and
// without a port, and each parameter by name.
func (s *Server) signed(r *http.Request) bool {
	given, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Twilio-Signature"))
	base, urlErr := url.Parse(s.PublicURL)
	if s.AuthToken.IsZero() || err != nil || urlErr != nil || r.ParseForm() != nil {
		return false
	}
	var params strings.Builder
	for _, key := range slices.Sorted(maps.Keys(r.PostForm)) {
		values := slices.Clone(r.PostForm[key])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			params.WriteString(key + v)
		}
	}
	u := *base
	u.Path, u.RawPath, u.RawQuery = r.URL.Path, r.URL.RawPath, r.URL.RawQuery
	hosts := []string{u.Host}
	if u.Port() == "" && u.Scheme == "https" {
		hosts = append(hosts, u.Host+":443")
	} else {
		hosts = append(hosts, u.Hostname())
	}
	ok := false
	for _, h := range hosts {
		u.Host = h
		mac := hmac.New(sha1.New, []byte(s.AuthToken.Reveal()))
		mac.Write([]byte(u.String() + params.String()))
		ok = hmac.Equal(mac.Sum(nil), given) || ok
	}
	return ok
}
