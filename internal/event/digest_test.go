package event

import (
	"strings"
	"testing"
	"time"
)

// A report says who is told: a digest of anything else, which the watcher or another host
// may have made, brings none in.
func TestOnlyAReportHasOne(t *testing.T) {
	for _, of := range []Kind{KindAttempt, KindDigest, KindLogin, KindReport} {
		e := Event{ID: NewID(), Kind: KindDigest, Time: time.Now(), Via: ViaWatch, Digest: &Digest{
			Of: of, Failures: &Failures{Attempts: 1}, Report: &Report{Sentence: strings.Repeat("x", 2*maxSentence), URL: "https://hub.example.com/", Only: make([]string, 2*maxOnly), Failing: make([]string, 2*maxRowHosts)},
		}}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		r := got.Digest.Report
		if (r != nil) != (of == KindReport) {
			t.Errorf("of %s: %+v", of, r)
		}
		if r != nil && (len(r.Sentence) > maxSentence+len("…") || len(r.Only) > maxOnly || len(r.Failing) > maxRowHosts || r.MoreFailing != maxRowHosts) {
			t.Errorf("%+v", r)
		}
	}
	e := Event{ID: NewID(), Kind: KindDigest, Time: time.Now(), Digest: &Digest{Of: KindReport, Failures: &Failures{Attempts: 1}}}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(b); err == nil {
		t.Error("a report of nothing")
	}
}
