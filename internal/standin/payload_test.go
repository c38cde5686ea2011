package standin

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func attachments(n int) string {
	return `{"attachments":[` + strings.TrimSuffix(strings.Repeat(`{"text":"x"},`, n), ",") + `]}`
}

func TestPayload(t *testing.T) {
	for name, row := range map[string]struct {
		raw, want string // want: the refusal
	}{
		"text":                              {`{"text":"x"}`, ""},
		"text with spaces around":           {" \r\n\t{ \"text\" : \"x\" } \n", ""},
		"an unknown key":                    {`{"text":"x","colour":5}`, ""},
		"attachment alone":                  {`{"attachments":[{"text":"x"}]}`, ""},
		"blocks alone":                      {`{"blocks":[{"type":"divider"}]}`, ""},
		"text, attachments null":            {`{"text":"x","attachments":null}`, ""},
		"a link and its preview off":        {`{"text":"x","unfurl_links":false,"unfurl_media":false,"mrkdwn":true,"link_names":0}`, ""},
		"not UTF-8":                         {"{\"text\":\"\xff\"}", invalidPayload},
		"not JSON":                          {`text`, invalidPayload},
		"cut short":                         {`{"text":"x"`, invalidPayload},
		"something behind it":               {`{"text":"x"}{}`, invalidPayload},
		"a byte order mark":                 {"\ufeff" + `{"text":"x"}`, invalidPayload},
		"an array":                          {`["x"]`, invalidPayload},
		"a string":                          {`"x"`, invalidPayload},
		"null":                              {`null`, invalidPayload},
		"nothing":                           {``, invalidPayload},
		"a raw newline in a string":         {"{\"text\":\"a\nb\"}", invalidPayload},
		"no text":                           {`{}`, noText},
		"text empty":                        {`{"text":""}`, noText},
		"text blank":                        {`{"text":" \n"}`, noText},
		"text null":                         {`{"text":null}`, noText},
		"Text in another case":              {`{"Text":"x"}`, noText},
		"no attachments":                    {`{"attachments":[]}`, noText},
		"text a number":                     {`{"text":5}`, invalidPayload},
		"text an object":                    {`{"text":{}}`, invalidPayload},
		"channel a number":                  {`{"text":"x","channel":5}`, invalidPayload},
		"username a bool":                   {`{"text":"x","username":true}`, invalidPayload},
		"mrkdwn a string":                   {`{"text":"x","mrkdwn":"true"}`, invalidPayload},
		"link_names a 2":                    {`{"text":"x","link_names":2}`, invalidPayload},
		"blocks an object":                  {`{"text":"x","blocks":{}}`, invalidPayload},
		"metadata an array":                 {`{"text":"x","metadata":[]}`, invalidPayload},
		"attachments an object":             {`{"text":"x","attachments":{}}`, invalidPayload},
		"attachments a string":              {`{"text":"x","attachments":"[]"}`, invalidPayload},
		"an attachment that is a string":    {`{"text":"x","attachments":["x"]}`, invalidPayload},
		"an attachment that is null":        {`{"text":"x","attachments":[null]}`, invalidPayload},
		"a hundred attachments":             {attachments(100), ""},
		"a hundred and one":                 {attachments(101), tooManyAttachments},
		"a hundred and one beside text":     {strings.Replace(attachments(101), "{", `{"text":"x",`, 1), tooManyAttachments},
		"an attachment of nothing":          {`{"attachments":[{}]}`, nothingToShow},
		"a colour and a foot alone":         {`{"attachments":[{"color":"#ff0002","footer":"x"}]}`, nothingToShow},
		"an attachment of nothing, text":    {`{"text":"x","attachments":[{}]}`, ""},
		"a fallback alone":                  {`{"attachments":[{"fallback":"x"}]}`, ""},
		"fields alone":                      {`{"attachments":[{"fields":[{"title":"a","value":"b","short":true}]}]}`, ""},
		"ts an integer":                     {`{"attachments":[{"text":"x","ts":1795227304}]}`, ""},
		"ts an integer with spaces around":  {`{"attachments":[{"text":"x","ts" : 1795227304 }]}`, ""},
		"ts null":                           {`{"attachments":[{"text":"x","ts":null}]}`, ""},
		"ts a string":                       {`{"attachments":[{"text":"x","ts":"1795227304"}]}`, invalidPayload},
		"ts with a fraction":                {`{"attachments":[{"text":"x","ts":1795227304.123}]}`, invalidPayload},
		"ts with an exponent":               {`{"attachments":[{"text":"x","ts":1e9}]}`, invalidPayload},
		"ts beyond 64 bits":                 {`{"attachments":[{"text":"x","ts":99999999999999999999}]}`, invalidPayload},
		"colour a number":                   {`{"attachments":[{"text":"x","color":255}]}`, invalidPayload},
		"title a bool":                      {`{"attachments":[{"title":true}]}`, invalidPayload},
		"fallback an array":                 {`{"attachments":[{"text":"x","fallback":[]}]}`, invalidPayload},
		"footer an object":                  {`{"attachments":[{"text":"x","footer":{}}]}`, invalidPayload},
		"mrkdwn_in a string":                {`{"attachments":[{"text":"x","mrkdwn_in":"text"}]}`, invalidPayload},
		"mrkdwn_in of numbers":              {`{"attachments":[{"text":"x","mrkdwn_in":[1]}]}`, invalidPayload},
		"mrkdwn_in of null":                 {`{"attachments":[{"text":"x","mrkdwn_in":[null]}]}`, invalidPayload},
		"fields an object":                  {`{"attachments":[{"text":"x","fields":{}}]}`, invalidPayload},
		"a field that is a string":          {`{"attachments":[{"text":"x","fields":["x"]}]}`, invalidPayload},
		"a field's value a number":          {`{"attachments":[{"text":"x","fields":[{"title":"a","value":5}]}]}`, invalidPayload},
		"a field's short a string":          {`{"attachments":[{"text":"x","fields":[{"title":"a","short":"yes"}]}]}`, invalidPayload},
		"the second attachment is wrong":    {`{"attachments":[{"text":"x"},{"text":5}]}`, invalidPayload},
		"blocks with a colour":              {`{"attachments":[{"color":"#ff0002","blocks":[{"type":"divider"}]}]}`, ""},
		"blocks with a fallback":            {`{"attachments":[{"fallback":"x","blocks":[{"type":"divider"}]}]}`, ""},
		"blocks with an unknown key":        {`{"attachments":[{"colour":"x","blocks":[{"type":"divider"}]}]}`, ""},
		"blocks with text":                  {`{"attachments":[{"text":"x","blocks":[{"type":"divider"}]}]}`, invalidAttachments},
		"blocks with a footer":              {`{"text":"x","attachments":[{"footer":"x","blocks":[]}]}`, invalidAttachments},
		"blocks with ts":                    {`{"text":"x","attachments":[{"ts":5,"blocks":[]}]}`, invalidAttachments},
		"blocks with fields":                {`{"text":"x","attachments":[{"fields":[],"blocks":[]}]}`, invalidAttachments},
		"blocks with mrkdwn_in":             {`{"text":"x","attachments":[{"mrkdwn_in":["text"],"blocks":[]}]}`, invalidAttachments},
		"blocks null with text":             {`{"attachments":[{"text":"x","blocks":null}]}`, invalidAttachments},
		"blocks with text null":             {`{"attachments":[{"text":null,"blocks":[{"type":"divider"}]}]}`, invalidAttachments},
		"blocks null alone, text above":     {`{"text":"x","attachments":[{"blocks":null}]}`, ""},
		"blocks empty alone":                {`{"attachments":[{"blocks":[]}]}`, nothingToShow},
		"blocks of an attachment an object": {`{"text":"x","attachments":[{"blocks":{}}]}`, invalidPayload},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := parsePayload([]byte(row.raw)); got != row.want {
				t.Errorf("refused with %q, want %q", got, row.want)
			}
		})
	}
}

func TestPayloadDecoded(t *testing.T) {
	raw := `{"text":"a \u003c b","attachments":[{
		"color":"#ffe200","fallback":"fb","pretext":"pre","title":"t","title_link":"https://example.com/","text":"tx","footer":"ref 7K3F",
		"fields":[{"title":"ft","value":"fv","short":true},{"title":"only"}],"mrkdwn_in":["text","fields"],"ts":1795227304},
		{"color":"#9aa0a6","blocks":[{"type":"divider"}]}]}`
	got, refused := parsePayload([]byte(raw))
	if refused != "" {
		t.Fatal(refused)
	}
	want := Payload{Text: "a < b", Attachments: []Attachment{
		{
			Color: "#ffe200", Fallback: "fb", Pretext: "pre", Title: "t", TitleLink: "https://example.com/", Text: "tx", Footer: "ref 7K3F",
			Fields: []Field{{"ft", "fv", true}, {"only", "", false}}, MrkdwnIn: []string{"text", "fields"}, TS: 1795227304,
		},
		{Color: "#9aa0a6", Blocks: json.RawMessage(`[{"type":"divider"}]`)},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// FuzzPayload: what is accepted is UTF-8, is JSON, and shows something.
func FuzzPayload(f *testing.F) {
	f.Add([]byte(`{"text":"x"}`))
	f.Add([]byte(`{"text":"x","attachments":[{"color":"#ff0002","ts":5,"fields":[{"title":"a"}],"mrkdwn_in":["text"]}]}`))
	f.Add([]byte(`{"attachments":[{"blocks":null,"text":"x"}]}`))
	f.Add([]byte(attachments(3)))
	f.Add([]byte("{\"text\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, refused := parsePayload(raw)
		if refused != "" {
			return
		}
		if !utf8.Valid(raw) || !json.Valid(raw) {
			t.Errorf("accepted %q", raw)
		}
		if p.Text == "" && len(p.Attachments) == 0 && !strings.Contains(string(raw), "b") {
			t.Errorf("accepted %q, which shows nothing", raw)
		}
	})
}
