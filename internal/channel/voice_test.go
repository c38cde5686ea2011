package channel

import (
	"encoding/xml"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

func voiceRow() httpDestination {
	return httpDestination{
		name: VoiceType,
		make: func(c *outbound.Client, url outbound.Secret) (Channel, error) {
			if url.IsZero() {
				return nil, errors.New("Twilio itself is not called")
			}
			s := Voice{Account: "AC" + strings.Repeat("0", 32), APIKey: "SK" + strings.Repeat("1", 32), APISecret: outbound.NewSecret("swordfish"), From: "+15557654321", To: "+15551234567", URL: url}
			return s.Open("phone", Env{Client: c})
		},
		told: takeCall,
		own: []answer{
			{"an unknown key", says(401, `{"code":20003,"message":"Authenticate"}`), &Error{Class: Broken}, "API key"},
			{"too many", says(429, `{"code":20429}`), &Error{Class: Again, RetryAfter: 10 * time.Second}, "20429"},
			{"a wrong number", says(400, `{"code":21211,"message":"swordfish"}`), &Error{Class: Broken}, "to is no number"},
			{"a sender of another", says(400, `{"code":21210}`), &Error{Class: Broken}, "from is no number"},
			{"a country that is off", says(400, `{"code":21215}`), &Error{Class: Broken}, "country"},
			{"a trial", says(400, `{"code":21219}`), &Error{Class: Broken}, "verified numbers only"},
			{"another refusal", says(400, `{"code":21205}`), &Error{Class: Bug}, "HTTP 400"},
		},
	}
}

// takeCall refuses what Twilio would.
func takeCall(w http.ResponseWriter, r *http.Request) {
	key, secret, _ := r.BasicAuth()
	text := r.PostFormValue("Twiml")
	var said struct {
		Say struct {
			Loop string `xml:"loop,attr"`
			Text string `xml:",chardata"`
			Tags []struct {
				XMLName xml.Name
			} `xml:",any"`
		}
	}
	err := xml.Unmarshal([]byte(text), &said)
	switch {
	case key != "SK"+strings.Repeat("1", 32) || secret != "swordfish":
		w.WriteHeader(401)
	case r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/2010-04-01/Accounts/AC"+strings.Repeat("0", 32)+"/Calls.json"):
		w.WriteHeader(404)
	case err != nil || len([]rune(text)) > 4000 || said.Say.Loop != "2" || strings.TrimSpace(said.Say.Text) == "" || len(said.Say.Tags) > 0,
		r.PostFormValue("To") != "+15551234567" || r.PostFormValue("From") != "+15557654321":
		w.WriteHeader(400)
	default:
		says(201, `{"sid":"CA00","status":"queued"}`)(w, r)
	}
}

func TestTwiml(t *testing.T) {
	const want = `<Response><Say loop="2">HIGH alice on d b 1 from 2 0 3 dot 0 dot 1 1 3 dot 7: first time from Bulgaria, 0 2 colon 1 5. ref 7 K 3 F.</Say></Response>`
	if got := twiml(login()); got != want {
		t.Errorf("%s", got)
	}
}
