package service

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

func TestFaultOf(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"sound", `{"a":{"b":[1,{"c":2},{"c":3}]},"b":"\"{[","d":{}}`, ""},
		{"a list", `[{"a":1},{"a":2}]`, ""},
		{"null", `null`, ""},
		{"a field twice", `{"score":0,"score":90}`, "JSON with a field that is there twice"},
		{"a field twice, deeper", `[{"x":{"score":0,"a":[],"score":90}}]`, "JSON with a field that is there twice"},
		{"a field twice, once escaped", `{"score":0,"\u0073core":90}`, "JSON with a field that is there twice"},
		{"a field called like a value", `{"a":"b","b":"a"}`, ""},
		{"64 deep", strings.Repeat("[", 64) + strings.Repeat("]", 64), ""},
		{"65 deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), "JSON nested too deep"},
		{"a million deep", strings.Repeat("[", 1_000_000), "JSON nested too deep"},
		{"brackets in a text", `"` + strings.Repeat("[", 1000) + `"`, ""},
		{"a text left open", `{"a":"`, "broken JSON"},
		{"NaN", `{"score":NaN}`, "broken JSON"},
		{"a control character", "{\"a\":\"\x01\"}", "broken JSON"},
		{"empty", "", "broken JSON"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if err := faultOf(&outbound.Response{Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(tc.body)}); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	for _, tc := range []struct {
		value, after string
		want         uint32
	}{
		{`15169`, "", 15169}, {`"15169"`, "", 15169}, {`"AS15169"`, "", 15169}, {`"AS15169 Google LLC"`, "", 15169},
		{`4294967295`, "", 4294967295}, {`4294967296`, "", 0}, {`0`, "", 0}, {`-1`, "", 0}, {`1.5`, "", 0}, {`1e3`, "", 0},
		{`"ASX"`, "", 0}, {`"AS"`, "", 0}, {`""`, "", 0}, {`"Google 15169"`, "", 0}, {`null`, "", 0}, {`["AS7"]`, "", 0},
		{`"/v1/asn/7"`, "/v1/asn/", 7}, {`"AS7"`, "/v1/asn/", 0}, {`7`, "/v1/asn/", 0},
	} {
		if got := Number(gjson.Parse(tc.value), tc.after); got != tc.want {
			t.Errorf("%s after %q: %d, want %d", tc.value, tc.after, got, tc.want)
		}
	}
}
