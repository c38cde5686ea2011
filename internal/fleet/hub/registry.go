package hub

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/store"
)

// Kind says what somebody may do at a hub.
type Kind string

// The kinds.
const (
	KindHost    Kind = "host"    // hands over, with a certificate
	KindBearer  Kind = "bearer"  // the same, with a token, through a proxy
	KindStandby Kind = "standby" // the same as a host, and fetches the database
)

// Host is a host as the hub knows it.
type Host struct {
	Name    string
	Kind    Kind
	Joined  time.Time
	Revoked time.Time         // zero: it may come in
	Expires time.Time         // its newest certificate; zero: it has none
	Labels  map[string]string // given with its token

	Beaten time.Time  // when the newest beat came; zero: none did
	Beat   fleet.Beat // what it said
	Have   int64      // all its events up to this number are here
	Silent time.Time  // when it was told that it is silent; zero: it is not
	// Gap: events between Have and what it has handed over are missing.
	Gap bool
}

// Registry is who may come in. It may be used by several processes at a time: the
// hub heeds a change at once.
type Registry struct {
	db  *store.DB
	now func() time.Time
	own []string // names of the hub's own machine, which no host gets
}

// NewRegistry returns the registry in a database.
func NewRegistry(db *store.DB) *Registry { return &Registry{db: db, now: time.Now} }

// Hosts returns all hosts, by name.
func (r *Registry) Hosts(ctx context.Context) (all []Host, err error) {
	err = r.db.Read(ctx, store.BatchLimit, func(t *store.Tx) error {
		all = nil
		return each(t, func(m *row) error {
			all = append(all, m.Host)
			return nil
		}, "ORDER BY name")
	})
	return all, err
}

// Inbox returns how many events the hub's worker has not claimed, and when the oldest
// of them came.
func (r *Registry) Inbox(ctx context.Context) (waiting int, oldest time.Time, err error) {
	var since sql.NullInt64
	err = r.db.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		_, err := t.One([]any{&waiting, &since}, `SELECT count(*), min(received) FROM fleet_event WHERE data IS NOT NULL AND claimed = 0`)
		return err
	})
	return waiting, timeOf(since), err
}

// CA returns the certificate of the hub's CA, in PEM.
func (r *Registry) CA(ctx context.Context) ([]byte, error) {
	ca, err := loadCA(ctx, r.db, r.now())
	if err != nil {
		return nil, err
	}
	return []byte(pemCert(ca.cert.Raw)), nil
}

// TokenOptions say whom a token lets in.
type TokenOptions struct {
	Kind   Kind              // empty: KindHost
	Name   string            // of the host; empty: whichever it asks for, if no other has it
	Labels map[string]string // that the hub puts on all its events
	Life   time.Duration     // until it must be used; 0: DefaultLife. A bearer token has no end.
	Uses   int               // how many hosts may join with it; 0: one
	// OwnCertificate: the hub has a certificate of its owner's, by which the systems
	// of the hosts know it.
	OwnCertificate bool
}

// DefaultLife is how long a token may be used to join.
const DefaultLife = time.Hour

// admission is what a token is for, as it is stored.
type admission struct {
	Kind   Kind              `json:"kind"`
	Name   string            `json:"name,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

// NewToken returns a token, which is a secret and is not kept: to join with, or as it
// is, of KindBearer.
func (r *Registry) NewToken(ctx context.Context, o TokenOptions) (string, error) {
	if o.Kind == "" {
		o.Kind = KindHost
	}
	if o.Name != "" && !fleet.ValidName(o.Name) {
		return "", fmt.Errorf("%q can't be the name of a host: lower-case letters, digits and hyphens, at most 63", o.Name)
	}
	var random [32]byte
	rand.Read(random[:]) // never fails since Go 1.24
	secret := base64.RawURLEncoding.EncodeToString(random[:])
	if o.Kind == KindBearer {
		secret = fleet.BearerPrefix + secret
	}
	sum := sha256.Sum256([]byte(secret))
	if o.Kind == KindBearer {
		if o.Name == "" || o.Uses > 1 {
			return "", errors.New("a bearer token is for one host, which must be named")
		}
		return secret, r.db.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
			// No certificate of before holds beside it.
			return admit(t, r.now(), admission{o.Kind, o.Name, o.Labels}, credential{token: sum[:], serial: r.now().UnixNano()})
		})
	}
	ca, err := loadCA(ctx, r.db, r.now())
	if err != nil {
		return "", err
	}
	token := fleet.Token{Secret: secret, Name: o.Name}
	if !o.OwnCertificate {
		pin := sha256.Sum256(ca.cert.Raw)
		token.CA = pin[:]
	}
	if o.Life <= 0 {
		o.Life = DefaultLife
	}
	what, err := json.Marshal(admission{o.Kind, o.Name, o.Labels})
	if err != nil {
		return "", err
	}
	now := r.now()
	return token.Text(), r.db.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		// Those that ended are kept for a day: whoever tries one is told that it did.
		if _, err := t.Exec(`DELETE FROM fleet_token WHERE expires < ?`, now.Add(-24*time.Hour).UnixMilli()); err != nil {
			return err
		}
		_, err := t.Exec(`INSERT INTO fleet_token(hash, expires, uses, what) VALUES (?, ?, ?, ?)`, sum[:], now.Add(o.Life).UnixMilli(), max(1, o.Uses), string(what))
		return err
	})
}

// UnknownHostError is a host that the hub does not know.
type UnknownHostError struct{ Name string }

func (e *UnknownHostError) Error() string {
	return fmt.Sprintf("no host %s has joined this hub", e.Name)
}

// Revoke keeps hosts out, for good: until they join anew. Either all are, or, with an
// error, none.
func (r *Registry) Revoke(ctx context.Context, names ...string) error {
	now := r.now().UnixMilli()
	return r.db.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		for _, name := range names {
			res, err := t.Exec(`UPDATE fleet_host SET revoked = coalesce(revoked, ?), token = NULL, changed = `+nextChange+` WHERE name = ?`, now, name)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil {
				return err
			} else if n == 0 {
				return &UnknownHostError{name}
			}
		}
		return nil
	})
}

const nextChange = `(SELECT coalesce(max(changed), 0) + 1 FROM fleet_host)`

// credential is what a host shows from now on.
type credential struct {
	token   []byte    // SHA-256 of a bearer token
	key     []byte    // SHA-256 of a certificate's
	serial  int64     // of it
	expires time.Time // of it
}

// noLabels is how the labels of a token that has none are stored.
const noLabels = "null"

// admit lets a host in, with nothing but this credential. Its numbers go on if it
// had any, and its labels are what they were unless the token has others.
func admit(t *store.Tx, now time.Time, a admission, c credential) error {
	labels, err := json.Marshal(a.Labels)
	if err != nil {
		return err
	}
	var expires *int64
	if !c.expires.IsZero() {
		ms := c.expires.UnixMilli()
		expires = &ms
	}
	_, err = t.Exec(`INSERT INTO fleet_host(name, kind, changed, joined, valid_from, expires, key, token, labels) VALUES (?, ?, `+nextChange+`, ?, ?, ?, ?, ?, ?)
		ON CONFLICT(name) DO UPDATE SET kind = excluded.kind, changed = excluded.changed, joined = excluded.joined, valid_from = max(valid_from, excluded.valid_from),
		revoked = NULL, expires = excluded.expires, key = excluded.key, token = excluded.token,
		labels = CASE excluded.labels WHEN '`+noLabels+`' THEN labels ELSE excluded.labels END, told = '{}'`,
		a.Name, string(a.Kind), now.UnixMilli(), c.serial, expires, c.key, c.token, string(labels))
	return err
}

// refusal is why somebody is not let in, or something not taken.
type refusal struct {
	status int
	why    string // see fleet.HeaderWhy
	text   string
	wait   time.Duration // Retry-After; 0: none
}

func (e *refusal) Error() string { return e.text }

func unknownToken() *refusal {
	return &refusal{403, fleet.WhyToken, "the hub does not know this token", 0}
}

// join lets in whoever has a token, and returns a certificate for the key of the
// request. The same request again gets another one: the answer may have been lost.
func (r *Registry) join(ctx context.Context, ca *authority, req fleet.JoinRequest) (name string, cert []byte, err error) {
	csr, keyHash, err := parseCSR(req.CSR)
	if err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256([]byte(req.Token))
	now := r.now()
	// Whoever guesses keeps nobody from writing.
	err = r.db.Read(ctx, store.ReadLimit, func(t *store.Tx) error {
		var one int
		known, err := t.One([]any{&one}, `SELECT 1 FROM fleet_token WHERE hash = ?`, sum[:])
		if err == nil && !known {
			err = unknownToken()
		}
		return err
	})
	if err != nil {
		return "", nil, err
	}
	err = r.db.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		var expires int64
		var uses int
		var what string
		known, err := t.One([]any{&expires, &uses, &what}, `SELECT expires, uses, what FROM fleet_token WHERE hash = ?`, sum[:])
		var a admission
		if err == nil && known {
			err = json.Unmarshal([]byte(what), &a)
		}
		switch {
		case err != nil:
			return err
		case !known:
			return unknownToken()
		case now.UnixMilli() >= expires:
			return &refusal{403, fleet.WhyToken, "the token ended at " + time.UnixMilli(expires).UTC().Format(time.RFC3339), 0}
		}
		asked := csr.Subject.CommonName
		named := a.Name != ""
		switch {
		case !fleet.ValidName(asked):
			return &refusal{400, fleet.WhyName, "a host's name has lower-case letters, digits and hyphens, at most 63", 0}
		case named && asked != a.Name:
			return &refusal{403, fleet.WhyToken, "the token is for another name: " + a.Name, 0}
		}
		if slices.Contains(r.own, asked) {
			return ownName(asked)
		}
		a.Name = asked
		labels, err := json.Marshal(a.Labels)
		if err != nil {
			return err
		}
		var oldKey []byte
		var revoked sql.NullInt64
		var from int64
		var same bool // as what it joined for
		there, err := t.One([]any{&oldKey, &revoked, &from, &same}, `SELECT key, revoked, valid_from, kind = ? AND ? IN (labels, '`+noLabels+`') FROM fleet_host WHERE name = ?`,
			string(a.Kind), string(labels), a.Name)
		if err != nil {
			return err
		}
		again := there && !revoked.Valid && same && string(oldKey) == string(keyHash)
		switch {
		case again:
		case uses <= 0:
			return &refusal{403, fleet.WhyToken, "the token was used", 0}
		case there && !revoked.Valid && !named:
			return &refusal{409, fleet.WhyName, "another host has the name " + a.Name + "; a token for this name replaces it", 0}
		}
		c, der, err := ca.issue(a.Name, a.Kind, csr.PublicKey, now, from)
		if err != nil {
			return err
		}
		c.key = keyHash
		if !again {
			if _, err := t.Exec(`UPDATE fleet_token SET uses = uses - 1 WHERE hash = ?`, sum[:]); err != nil {
				return err
			}
		}
		name, cert = a.Name, der
		return admit(t, now, a, c)
	})
	return name, cert, err
}

// renew returns a certificate for a new key of a host that is in. Its old one stays
// valid: the answer may be lost.
// serial is the old one's: whoever was let in by it may have been revoked, and another
// have joined in the name, before the request was whole.
func (r *Registry) renew(ctx context.Context, ca *authority, name string, kind Kind, serial int64, req fleet.JoinRequest) ([]byte, error) {
	csr, keyHash, err := parseCSR(req.CSR)
	if err != nil {
		return nil, err
	}
	c, der, err := ca.issue(name, kind, csr.PublicKey, r.now(), serial)
	if err != nil {
		return nil, err
	}
	return der, r.db.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		res, err := t.Exec(`UPDATE fleet_host SET expires = ?, key = ?, changed = `+nextChange+` WHERE name = ? AND revoked IS NULL AND valid_from <= ? AND kind = ?`,
			c.expires.UnixMilli(), keyHash, name, serial, string(kind))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, revoked(name))
		}
		return nil
	})
}

// ownName refuses a host that would be taken for the hub's own machine.
func ownName(name string) *refusal {
	return &refusal{409, fleet.WhyName, name + " is the hub's own name", 0}
}

func revoked(name string) *refusal {
	return &refusal{403, fleet.WhyRevoked, "the certificate of " + name + " was revoked", 0}
}

// parseCSR reads a request for a certificate whose sender has the key, and returns
// the SHA-256 of the public one, too.
func parseCSR(text string) (*x509.CertificateRequest, []byte, error) {
	bad := &refusal{400, fleet.WhyUnknown, "not a request for a certificate, in PEM", 0}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, nil, bad
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return nil, nil, bad
	}
	if !goodKey(csr.PublicKey) {
		return nil, nil, &refusal{400, fleet.WhyUnknown, "the key must be ECDSA P-256 or Ed25519", 0}
	}
	sum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	return csr, sum[:], nil
}

// row is a host with what of it is the hub's own business.
type row struct {
	Host
	n         int64
	changed   int64
	validFrom int64
	token     []byte
	numbering string
	run       int64
	told      told
}

// each calls f for the hosts that more, the end of a query, selects.
func each(t *store.Tx, f func(*row) error, more string, args ...any) error {
	return t.Each(func(rows *sql.Rows) error {
		var m row
		var kind, labels, said, told string
		var joined int64
		var revoked, expires, beat sql.NullInt64
		if err := rows.Scan(&m.n, &m.Name, &kind, &m.changed, &joined, &m.validFrom, &revoked, &expires, &m.token, &labels, &m.numbering, &m.run, &m.Have, &beat, &said, &told); err != nil {
			return err
		}
		m.Kind, m.Joined = Kind(kind), time.UnixMilli(joined).UTC()
		m.Revoked, m.Expires, m.Beaten = timeOf(revoked), timeOf(expires), timeOf(beat)
		// What can't be read, somebody else wrote: it is no reason to keep a host out.
		_ = json.Unmarshal([]byte(labels), &m.Labels)
		_ = json.Unmarshal([]byte(said), &m.Beat)
		_ = json.Unmarshal([]byte(told), &m.told)
		m.Silent, m.Gap = m.told.Silent, !m.told.Gap.IsZero()
		return f(&m)
	}, `SELECT n, name, kind, changed, joined, valid_from, revoked, expires, token, labels, numbering, run, have, beat, said, told FROM fleet_host `+strings.TrimSpace(more), args...)
}

func timeOf(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// told is what was told of a host, and is not told again while it lasts.
type told struct {
	Silent time.Time `json:"silent,omitzero"`
	Gap    time.Time `json:"gap,omitzero"`
	Clock  time.Time `json:"clock,omitzero"`
	// When it was last told, whatever became of it since: a host could have each told
	// every minute.
	ClockLast time.Time `json:"clock_last,omitzero"`
	EndsLast  time.Time `json:"ends_last,omitzero"`
	Anew      time.Time `json:"anew,omitzero"`
	Expires   time.Time `json:"expires,omitzero"` // the certificate's end that was told
	Twice     time.Time `json:"twice,omitzero"`
	Passed    int64     `json:"passed,omitempty"` // numbers up to it that are missing are not waited for
}
