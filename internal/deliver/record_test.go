package deliver

import (
	"os"
	"testing"

	"github.com/sshnotify/sshnotify/internal/event"
)

// An event that an older program has begun to deliver goes on where it was.
func TestDecodeRecordOfVersion1(t *testing.T) {
	b, err := os.ReadFile("../event/testdata/v1/record.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := DecodeRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	if v := r.Verdict; v.Knowledge != event.Unknown || v.Route() != event.Medium || len(v.Reasons) != 1 {
		t.Errorf("the verdict %+v", v)
	}
	if r.Event.Login.Auth.Method != "publickey" || r.Event.V != event.Version || len(r.Deliveries) != 1 || r.Deliveries[0].Tries != 2 {
		t.Errorf("%+v", r)
	}
}
