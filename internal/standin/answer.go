package standin

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
)

// hugeBody is how much an answer with HugeBody brings.
const hugeBody = 100 << 20

// dripEvery is the time between two bytes of an answer with DripBytes.
const dripEvery = time.Second

// Behave scripts the answer to a request: n counts the requests from 1 in order
// of arrival, whatever becomes of them, and r.Body can be read. Nil means the
// usual answer. It may be called concurrently, and must not call Close.
type Behave func(n int, r *http.Request) *Answer

// Answer is a scripted answer. By itself it replaces what the stand-in would do:
// no message is accepted, no quota is used up, nothing is checked.
type Answer struct {
	Status int // 0: 200, or with Redirect 302
	Header http.Header
	Body   string
	Delay  time.Duration // before the answer, on top of the stand-in's latency

	// Accept lets the request be handled as usual first: checked, recorded,
	// counted. If it is refused, the refusal is the answer; if not, this is, with
	// Status, Header and Body as usual where they are not set here.
	Accept bool

	Hang            bool          // never answers
	DripBytes       bool          // the answer, status line and all, comes a byte at a time
	DripEvery       time.Duration // how far apart the bytes come; 0: a second
	Redirect        string        // the URL to send the client to
	HugeBody        bool          // Body is followed by 100 MiB more, of no announced length
	Drop            bool          // the connection is closed without an answer (net/http's client sends a GET again then)
	DropAfterAccept bool          // Accept, then Drop
}

// usualFirst reports whether the request is handled before this answer.
func (a *Answer) usualFirst() bool { return a.Accept || a.DropAfterAccept }

// over puts the scripted answer over the usual one.
func (a *Answer) over(usual Answer) Answer {
	out := *a
	if out.Status == 0 && out.Redirect == "" {
		out.Status = usual.Status
	}
	if out.Header == nil {
		out.Header = usual.Header
	}
	if out.Body == "" {
		out.Body = usual.Body
	}
	return out
}

// status is the one that the client sees, 0 where it sees none.
func (a *Answer) status() int {
	switch {
	case a.Hang, a.Drop, a.DropAfterAccept:
		return 0
	case a.Status != 0:
		return a.Status
	case a.Redirect != "":
		return http.StatusFound
	}
	return http.StatusOK
}

// give answers a request whose body has been read. It does not return where
// there is no answer: net/http takes that panic as the order to close the
// connection, and says nothing.
func (a *Answer) give(w http.ResponseWriter, r *http.Request, latency time.Duration) {
	ctx := r.Context()
	if a.Hang {
		<-ctx.Done()
	}
	if !pause(ctx, latency+a.Delay) || a.Drop || a.DropAfterAccept {
		panic(http.ErrAbortHandler)
	}
	header := a.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if a.Redirect != "" {
		header.Set("Location", a.Redirect)
	}
	if a.DripBytes {
		a.drip(w, r, header)
		return
	}
	rc := http.NewResponseController(w)
	if a.HugeBody {
		rc.SetWriteDeadline(time.Time{}) // a slow reader is part of the game
	} else {
		rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	for k, v := range header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status())
	io.WriteString(w, a.Body)
	if a.HugeBody {
		chunk := bytes.Repeat([]byte("o"), 64<<10)
		for sent := 0; sent < hugeBody; sent += len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	}
}

// drip takes the connection over and sends the answer byte by byte.
func (a *Answer) drip(w http.ResponseWriter, r *http.Request, header http.Header) {
	res := http.Response{
		StatusCode: a.status(), ProtoMajor: 1, ProtoMinor: 1, Header: header, Close: true,
		Body: io.NopCloser(bytes.NewReader([]byte(a.Body))), ContentLength: int64(len(a.Body)),
	}
	var raw bytes.Buffer
	if err := res.Write(&raw); err != nil {
		panic(http.ErrAbortHandler)
	}
	var conn net.Conn
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	every := a.DripEvery
	if every <= 0 {
		every = dripEvery
	}
	for i, c := range raw.Bytes() {
		if i > 0 && !pause(r.Context(), every) {
			return
		}
		if _, err := conn.Write([]byte{c}); err != nil {
			return
		}
	}
}
