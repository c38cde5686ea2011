package standin

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"
)

// What the stand-in for X knows: an app, an account that lets it in, and the PIN
// that its owner is shown.
const (
	XConsumerKey    = "xvz1evFS4wEEPTGEFPHBog"
	XConsumerSecret = "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw-swordfish"
	XToken          = "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"
	XTokenSecret    = "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE-swordfish"
	XPIN            = "7345812"

	xRequestToken       = "Z6eEdO8MOmk394WozF5oKyuAv855l4Mlqo7hhlSLik"
	xRequestTokenSecret = "Kd75W4OQfb2oJTV0vzGzeXftVAwgMnEK9MumzYcM"
	xRecipient          = "2244994945"
	xLongMessage        = 10000
	xClockSkew          = 5 * time.Minute
)

// X is a stand-in for X's API, as a handler: posts, direct messages, whose a token
// is, and OAuth 1.0a by PIN (RFC 5849; https://docs.x.com). It verifies each
// signature over the URL at which it was reached.
type X struct {
	mu     sync.Mutex
	nonces map[string]bool
	texts  []string
	server *server
}

// NewX returns a stand-in that listens nowhere.
func NewX() *X { return &X{nonces: map[string]bool{}} }

// StartX starts one on a free port of 127.0.0.1. Close it.
func StartX() (*X, error) {
	x := NewX()
	var err error
	x.server, err = startServer(net.Listen, x.ServeHTTP)
	return x, err
}

// URL is where the API of one that was started is.
func (x *X) URL() string { return "http://" + x.server.address }

// Close stops one that was started.
func (x *X) Close() { x.server.close() }

// Texts returns what was posted or sent so far.
func (x *X) Texts() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.texts)
}

// ServeHTTP answers a request as X would.
func (x *X) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, path, _ := strings.Cut(r.URL.Path, "/oauth/")
	post := r.Method == http.MethodPost
	switch {
	case post && path == "request_token":
		if o := x.verify(r, "", ""); o == nil || o["oauth_callback"] != "oob" {
			xProblem(w, 401, "", "Could not authenticate you.")
			return
		}
		fmt.Fprintf(w, "oauth_token=%s&oauth_token_secret=%s&oauth_callback_confirmed=true", xRequestToken, xRequestTokenSecret)
	case post && path == "access_token":
		if o := x.verify(r, xRequestToken, xRequestTokenSecret); o == nil || o["oauth_verifier"] != XPIN {
			xProblem(w, 401, "", "Error processing your OAuth request: Invalid oauth_verifier parameter")
			return
		}
		fmt.Fprintf(w, "oauth_token=%s&oauth_token_secret=%s&user_id=370773112&screen_name=example", XToken, XTokenSecret)
	case x.verify(r, XToken, XTokenSecret) == nil:
		xProblem(w, 401, "about:blank", "Unauthorized")
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/2/users/me"):
		io.WriteString(w, `{"data":{"id":"370773112","name":"Example","username":"example"}}`)
	case post && strings.HasSuffix(r.URL.Path, "/2/tweets"):
		x.post(w, r, body, true)
	case post && strings.HasSuffix(r.URL.Path, "/2/dm_conversations/with/"+xRecipient+"/messages"):
		x.post(w, r, body, false)
	default:
		xProblem(w, 404, "about:blank", "Not Found")
	}
}

// post takes a text. A post that was there before is refused.
func (x *X) post(w http.ResponseWriter, r *http.Request, body []byte, public bool) {
	var m struct {
		Text  string `json:"text"`
		Reply *struct {
			To string `json:"in_reply_to_tweet_id"`
		} `json:"reply"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	most := xLongMessage
	if public {
		most = 280
	}
	switch err := d.Decode(&m); {
	case r.Header.Get("Content-Type") != "application/json" || err != nil || strings.TrimSpace(m.Text) == "" || m.Reply != nil && (!public || m.Reply.To == ""):
		xProblem(w, 400, "https://api.x.com/2/problems/invalid-request", "One or more parameters to your request was invalid.")
	case XWeight(m.Text) > most:
		xProblem(w, 400, "https://api.x.com/2/problems/invalid-request", "Your Tweet text is too long.")
	case public && slices.Contains(x.texts, m.Text):
		xProblem(w, 403, "about:blank", "You are not allowed to create a Tweet with duplicate content.")
	default:
		x.texts = append(x.texts, m.Text)
		w.WriteHeader(http.StatusCreated)
		if public {
			fmt.Fprintf(w, `{"data":{"id":"%d","text":"x"}}`, int64(1445880548472328192)+int64(len(x.texts)))
			return
		}
		fmt.Fprintf(w, `{"data":{"dm_conversation_id":"1-2","dm_event_id":"%d"}}`, int64(128341038123)+int64(len(x.texts)))
	}
}

func xProblem(w http.ResponseWriter, status int, kind, detail string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"type": kind, "title": http.StatusText(status), "detail": detail, "status": status})
}

// XWeight is how long a text is for X. A URL, and any name with a point in it that
// looks like a host's, counts 23 characters whatever its length.
func XWeight(text string) (n int) {
	// Go alone breaks up more than thirty marks on a letter.
	composed := strings.ReplaceAll(norm.NFC.String(text), "\u034f", "")
	for i, word := range strings.Fields(composed) {
		if i > 0 {
			n++
		}
		if strings.Contains(word, "://") {
			n += 23
			continue
		}
		for _, r := range word {
			if r <= 0x10ff || r >= 0x2000 && r <= 0x200d || r >= 0x2010 && r <= 0x201f || r >= 0x2032 && r <= 0x2037 {
				n++
			} else {
				n += 2
			}
		}
	}
	return n
}

// verify returns the OAuth parameters of a request that is signed with the app's
// secret and this token's, and nil of any other one, or of one that came before.
func (x *X) verify(r *http.Request, token, secret string) map[string]string {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "OAuth ")
	if !ok {
		return nil
	}
	params, all := map[string]string{}, url.Values{}
	for pair := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(pair), "=")
		v, err := url.PathUnescape(strings.Trim(v, `"`))
		if err != nil || params[k] != "" {
			return nil
		}
		params[k] = v
		if k != "oauth_signature" {
			all.Set(k, v)
		}
	}
	for k, v := range r.URL.Query() {
		all[k] = v
	}
	stamp, err := strconv.ParseInt(params["oauth_timestamp"], 10, 64)
	switch {
	case err != nil || time.Since(time.Unix(stamp, 0)).Abs() > xClockSkew,
		params["oauth_nonce"] == "" || x.nonces[params["oauth_nonce"]],
		params["oauth_version"] != "1.0" || params["oauth_signature_method"] != "HMAC-SHA1",
		params["oauth_consumer_key"] != XConsumerKey || params["oauth_token"] != token:
		return nil
	}
	x.nonces[params["oauth_nonce"]] = true
	var pairs []string
	for k, vs := range all {
		for _, v := range vs {
			pairs = append(pairs, percent(k)+"="+percent(v))
		}
	}
	slices.Sort(pairs)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	base := r.Method + "&" + percent(scheme+"://"+r.Host+r.URL.EscapedPath()) + "&" + percent(strings.Join(pairs, "&"))
	mac := hmac.New(sha1.New, []byte(percent(XConsumerSecret)+"&"+percent(secret)))
	io.WriteString(mac, base)
	if !hmac.Equal([]byte(base64.StdEncoding.EncodeToString(mac.Sum(nil))), []byte(params["oauth_signature"])) {
		return nil
	}
	return params
}

// percent escapes as RFC 5849 does, section 3.6.
func percent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
