package fleet

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The paths of a hub. All but PathHealth are POST, but for PathCopy, which only a
// standby may GET, and PathPage, which only a reader may.
const (
	PathEvents = "/v1/events" // Lines, and HeaderNumbering; answers Answer
	PathBeat   = "/v1/beat"   // Beat; answers BeatAnswer
	PathJoin   = "/v1/join"   // JoinRequest; answers JoinAnswer
	PathRenew  = "/v1/renew"  // JoinRequest without a token; answers JoinAnswer
	PathCopy   = "/v1/copy"   // answers the hub's database
	PathOrders = "/v1/orders" // OrderPoll; answers OrderAnswer, after a while
	// PathEvidence takes what respond.Evidence is stored as, and HeaderOrder or
	// HeaderEvent; answers EvidenceAnswer.
	PathEvidence = "/v1/evidence"
	PathHealth   = "/healthz"
	PathPage     = "/report" // ?since=7d&mask=1; answers the page of all hosts as HTML
)

const (
	// HeaderNumbering is Batch.Numbering.
	HeaderNumbering = "Sshnotify-Numbering"
	// HeaderWhy is why the hub did not take something, as a word: one of the Why
	// constants. The body says it to people, in a line of text.
	HeaderWhy = "Sshnotify-Why"
	// HeaderRejected comes with status 400, where no line of a batch can be taken:
	// the body is an Answer then.
	HeaderRejected = "Sshnotify-Rejected"
	// HeaderOrder is the nonce of the order that evidence was taken for, and HeaderEvent
	// the id, at its host, of the event that it is of where there is no order.
	HeaderOrder = "Sshnotify-Order"
	HeaderEvent = "Sshnotify-Event"
)

// Why a hub did not take something.
const (
	WhyUnknown = "unknown" // 401: no certificate of this hub's, and no token that it knows
	WhyClock   = "clock"   // 401: the certificate has ended, or not begun, by the hub's clock
	WhyRevoked = "revoked" // 403
	WhyToken   = "token"   // 403: to join with; it was used, has ended, or is for another name
	WhyName    = "name"    // 409: to join as; another host has it
	WhyNewer   = "newer"   // 503: a newer sshnotify wrote the events: the hub is older than the host
	WhyStandby = "standby" // 503: this hub stands by
	WhyBusy    = "busy"    // 429, 503: later
)

// JoinRequest asks for a certificate.
type JoinRequest struct {
	Token string `json:"token,omitempty"` // Token.Secret
	CSR   string `json:"csr"`             // PEM; its common name is the host's
}

// JoinAnswer is a host's certificate.
type JoinAnswer struct {
	Name        string `json:"name"`
	Certificate string `json:"certificate"` // PEM
	// CA is the certificate by which the host knows the hub, in PEM; empty: the hub has
	// a certificate of its owner's, and the host goes by those that its system trusts.
	CA string `json:"ca,omitempty"`
}

// Token is what a host joins a hub with, and knows the hub by.
type Token struct {
	Secret string `json:"secret"`
	CA     []byte `json:"ca,omitempty"`   // SHA-256 of the hub's CA; nil: the system trusts the hub's certificate
	Name   string `json:"name,omitempty"` // that the host gets; empty: it asks for one
}

// The prefixes let people, and programs that look for secrets, know a token.
const (
	tokenPrefix = "sshn1."
	// BearerPrefix is that of a token that is shown with each request, see
	// Settings.Token.
	BearerPrefix = "sshnb1."
	// ReaderPrefix is that of a token that lets somebody read the hub's page.
	ReaderPrefix = "sshnr1."
)

// Text returns the token as people hand it on. It is a secret.
func (t Token) Text() string {
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings and bytes
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// String keeps the secret.
func (Token) String() string { return tokenPrefix + "…" }

// ParseToken reads what Text returned.
func ParseToken(s string) (Token, error) {
	s = strings.TrimSpace(s)
	text, ok := strings.CutPrefix(s, tokenPrefix)
	switch {
	case s == "":
		return Token{}, errors.New("the token is empty")
	case strings.HasPrefix(s, BearerPrefix):
		return Token{}, errors.New("this is a bearer token, which nobody joins with: token_file in [hub] names the file that it is in")
	case strings.HasPrefix(s, ReaderPrefix):
		return Token{}, errors.New("this is a reader's token, which nobody joins with: it opens the hub's page")
	case !ok:
		return Token{}, fmt.Errorf("a token begins with %s", tokenPrefix)
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	var t Token
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil || t.Secret == "" || t.CA != nil && len(t.CA) != sha256.Size || t.Name != "" && !ValidName(t.Name) {
		return Token{}, errors.New("the token is damaged, or not whole") // err would show some of it
	}
	return t, nil
}

// VerifyHub checks the certificates that a hub shows to somebody who joins, of which
// the first is its own, and returns the CA that is to be trusted from now on; nil:
// those of the system. name is the hub's, as in its URL.
func (t Token) VerifyHub(chain []*x509.Certificate, name string, now time.Time) (ca *x509.Certificate, err error) {
	if len(chain) == 0 {
		return nil, errors.New("the hub shows no certificate")
	}
	o := x509.VerifyOptions{DNSName: name, CurrentTime: now, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
		if sum := sha256.Sum256(c.Raw); t.CA != nil && bytes.Equal(sum[:], t.CA) {
			ca = c
		}
	}
	if t.CA != nil {
		if ca == nil {
			return nil, errors.New("this is not the hub that the token is for: it shows the certificate of another CA")
		}
		o.Roots = x509.NewCertPool()
		o.Roots.AddCert(ca)
	}
	_, err = chain[0].Verify(o)
	return ca, err
}

// NewKey returns a new private key, and the request for a certificate for it in a
// host's name, both in PEM.
func NewKey(name string) (key, csr []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	req, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, k)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: req}), nil
}
