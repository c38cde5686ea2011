package enrich

import (
	"strconv"
	"testing"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

// A low score counts only where nothing beside it says that the service has no
// opinion, whatever its file says of that.
func TestNoOpinionIsNoLowScore(t *testing.T) {
	const head = `
form = 1
title = "Ours"
url = "https://risk.example.com"
key = "none"
[[request]]
name = "ip"
path = "/{ip}"
`
	for _, row := range []struct {
		name, file, body string
		score            int // below 0: unknown
	}{
		{"a word named", `word = "data.risk"`, `{"data":{"score":0,"risk":"UNKNOWN"}}`, -1},
		{"in small letters", `word = "data.risk"`, `{"data":{"score":0,"risk":" unknown "}}`, -1},
		{"none", `word = "data.risk"`, `{"data":{"score":0,"risk":"None"}}`, -1},
		{"the text null", `word = "data.risk"`, `{"data":{"score":0,"risk":"null"}}`, -1},
		{"not rated", `word = "data.risk"`, `{"data":{"score":3,"risk":"NOT_RATED"}}`, -1},
		{"n/a", `word = "data.risk"`, `{"data":{"score":34,"risk":"N/A"}}`, -1},
		{"a line", `word = "data.risk"`, `{"data":{"score":0,"risk":"-"}}`, -1},
		{"no word named", ``, `{"data":{"score":0,"risk":"unknown"}}`, -1},
		{"no word named, by another name", ``, `{"data":{"score":0,"risk_level":"UNKNOWN"}}`, -1},
		{"a class", ``, `{"data":{"score":0,"classification":"unknown"}}`, -1},
		{"an opinion", `word = "data.risk"`, `{"data":{"score":0,"risk":"LOW"}}`, 0},
		{"an opinion beside it", ``, `{"data":{"score":0,"risk":"low"}}`, 0},
		{"no word at all", ``, `{"data":{"score":0}}`, 0},
		{"a word elsewhere", ``, `{"risk":"unknown","data":{"score":0}}`, 0},
		{"not a low one", `word = "data.risk"`, `{"data":{"score":35,"risk":"UNKNOWN"}}`, 35},
		{"not a low one, beside it", ``, `{"data":{"score":90,"risk":"UNKNOWN"}}`, 90},
	} {
		t.Run(row.name, func(t *testing.T) {
			f, err := ParseService("ours", []byte(head+row.file+"\nexpect = [\"data.score\"]\n[[request.score]]\npath = \"data.score\"\nrange = [0, 100]\n"))
			if err != nil {
				t.Fatal(err)
			}
			p, err := NewHTTP(outbound.New(outbound.Options{Transport: &fakeService{script: always(200, jsonType, row.body)}}), HTTPOptions{Service: f})
			if err != nil {
				t.Fatal(err)
			}
			got, _ := p.Lookup(t.Context(), publicIP)
			want := "unknown"
			if row.score >= 0 {
				want = strconv.Itoa(row.score)
			}
			said := "unknown"
			if got.Risk.Known {
				said = strconv.Itoa(got.Risk.Score)
			}
			if said != want {
				t.Errorf("%+v, want %s", got.Risk, want)
			}
		})
	}
}
