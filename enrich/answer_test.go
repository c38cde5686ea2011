package enrich

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/service"
)

// answerFrom returns the answer to a request, which must be good where req is nil.
func answerFrom(t testing.TB, file *ServiceFile, req *requestForm, body string) *service.Answer {
	t.Helper()
	if file == nil {
		file = &ServiceFile{}
		req = &requestForm{Request: service.Request{Answer: service.Any}}
	}
	s := &service.Service{Description: &file.form.Description}
	return s.Read(&req.Request, &outbound.Response{Status: 200, Header: http.Header{"Content-Type": {jsonType}}, Body: []byte(body)}, time.Time{})
}

func TestScales(t *testing.T) {
	five, seven := 5, 7
	words := scoreForm{Words: map[string]int{"bad": 90, "good": 0, "true": 60}}
	lists := words
	lists.Other, lists.Missing = &five, &seven
	for _, tc := range []struct {
		name, value string
		scale       scoreForm
		want        int
		what        scoreResult
	}{
		{"linear", `3`, scoreForm{Range: []float64{0, 5}}, 60, scoreFound},
		{"linear, its end", `5`, scoreForm{Range: []float64{0, 5}}, 100, scoreFound},
		{"linear, beyond", `6`, scoreForm{Range: []float64{0, 5}}, 0, scoreOdd},
		{"linear, below", `-1`, scoreForm{Range: []float64{0, 5}}, 0, scoreOdd},
		{"turned round", `100`, scoreForm{Range: []float64{100, 0}}, 0, scoreFound},
		{"turned round, the worst", `0`, scoreForm{Range: []float64{100, 0}}, 100, scoreFound},
		{"a fraction", `0.5`, scoreForm{Range: []float64{0, 100}}, 0, scoreOdd},
		{"a fraction that may be is not 0", `0.001`, scoreForm{Range: []float64{0, 100}, Fractions: true}, 1, scoreFound},
		{"no error of rounding", `0.07`, scoreForm{Range: []float64{0, 1}, Fractions: true}, 7, scoreFound},
		{"enormous", `1e400`, scoreForm{Range: []float64{0, 100}}, 0, scoreOdd},
		{"a text", `"5"`, scoreForm{Range: []float64{0, 100}}, 0, scoreWrong},
		{"steps", `4`, scoreForm{Steps: [][]float64{{0, 0}, {1, 30}, {5, 80}}}, 30, scoreFound},
		{"steps, below the first", `-4`, scoreForm{Steps: [][]float64{{0, 0}}}, 0, scoreOdd},
		{"steps, a list", `[1]`, scoreForm{Steps: [][]float64{{0, 0}}}, 0, scoreWrong},
		{"a word", `" BAD "`, words, 90, scoreFound},
		{"a word that is none", `"odd"`, words, 0, scoreOdd},
		{"true", `true`, words, 60, scoreFound},
		{"a number for a word", `5`, words, 0, scoreWrong},
		{"the worst of a list", `["good","odd","bad"]`, words, 90, scoreFound},
		{"a list of none", `["odd"]`, words, 0, scoreOdd},
		{"a list of others", `["odd","good"]`, lists, 5, scoreFound},
		{"a list in a list", `[["bad"]]`, words, 0, scoreWrong},
		{"an empty list", `[]`, words, 0, scoreMissing},
		{"an empty list with a score", `[]`, lists, 7, scoreFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, what := tc.scale.read(gjson.Parse(tc.value))
			if got != tc.want || what != tc.what {
				t.Errorf("%d, %v, want %d, %v", got, what, tc.want, tc.what)
			}
		})
	}
}

func TestPoint(t *testing.T) {
	form := placeForm{Lat: "lat", Lon: "lon", Accuracy: "km"}
	for _, tc := range []struct {
		body string
		want *event.Point
	}{
		{`{"lat":53.35,"lon":-6.26,"km":10}`, &event.Point{Lat: 53.35, Lon: -6.26, Accuracy: 10}},
		{`{"lat":"53.35","lon":"-6.26","km":"10"}`, &event.Point{Lat: 53.35, Lon: -6.26, Accuracy: 10}},
		{`{"lat":0,"lon":0}`, nil},
		{`{"lat":91,"lon":0}`, nil},
		{`{"lat":1,"lon":181}`, nil},
		{`{"lat":"NaN","lon":"Inf"}`, nil},
		{`{"lat":1e999,"lon":1}`, nil},
		{`{"lat":1}`, nil},
		{`{"lat":true,"lon":[1]}`, nil},
		{`{"lat":1,"lon":1,"km":-5}`, &event.Point{Lat: 1, Lon: 1}},
	} {
		got := pointOf(answerFrom(t, nil, nil, tc.body), form)
		if (got == nil) != (tc.want == nil) || got != nil && *got != *tc.want {
			t.Errorf("%s: %+v, want %+v", tc.body, got, tc.want)
		}
	}
}

// Each shipped service, with anything for an answer.
func FuzzServiceAnswer(f *testing.F) {
	names := serviceNames()
	for i, name := range names {
		files, err := testdata.ReadDir("testdata/services")
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			if strings.HasPrefix(file.Name(), name+"-") {
				b, err := testdata.ReadFile("testdata/services/" + file.Name())
				if err != nil {
					f.Fatal(err)
				}
				f.Add(i, 200, b)
				f.Add(i, 404, b)
			}
		}
	}
	f.Add(0, 200, []byte(`{"data":{"abuseConfidenceScore":1e999,"isp":"\ud800"}}`))
	f.Add(1, 200, []byte(`{"scores":{"overall":{"total":-0}},"as_num":"AS4294967296 \u202e"}`))
	f.Add(2, 200, []byte(`[null,[],{"type":null}]`))
	providers := make([]*httpProvider, len(names))
	fakes := make([]*fakeService, len(names))
	for i, name := range names {
		fakes[i] = &fakeService{}
		providers[i] = newService(f, name, fakes[i], "", HTTPOptions{})
	}
	f.Fuzz(func(t *testing.T, which, status int, b []byte) {
		if which < 0 || which >= len(names) || status < 200 || status > 599 {
			return
		}
		p := providers[which]
		p.quota.memory = account{}
		fakes[which].script = always(status, jsonType, string(b))
		facts, err := p.Lookup(t.Context(), publicIP)
		checkClean(t, facts)
		r := facts.Risk
		switch {
		case r == nil && p.file.givesRisk():
			t.Fatal("no risk")
		case r == nil:
		case r.Known == (r.Problem != ""), r.Score < 0, r.Score > 100, !r.Known && r.Score != 0, !r.Known && !p.file.givesRisk():
			t.Errorf("%+v", r)
		case r.Known && status != 200 && status != 404:
			t.Errorf("status %d gave %+v", status, r)
		}
		if pt := facts.Place.Point; pt != nil && (pt.Lat < -90 || pt.Lat > 90 || pt.Lon < -180 || pt.Lon > 180 || pt.Accuracy < 0) {
			t.Errorf("%+v", pt)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\r\x00") {
			t.Errorf("%q", err)
		}
		if all := fmt.Sprint(facts, r, err); strings.Contains(all, testKey) {
			t.Errorf("leaks the key: %s", all)
		}
	})
}
