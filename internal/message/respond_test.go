package message

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestResponses(t *testing.T) {
	lock := Response{Ref: "7K3F", By: "carol", What: "Lock the account alice", Became: "done", Said: []string{"it has expired"}, Undo: true}
	left := Response{Ref: "7K3F", By: "carol", What: "End the session of alice", Became: "partly", Said: []string{"3 processes"}, Left: []string{"111 (sleep)"}}
	for _, c := range []struct {
		got         event.Note
		title, text string
	}{
		{ResponseBegun("7K3F", "carol", []string{"lock", "end"}, 1, "ab12", "the hub has the evidence"), "Response to 7K3F begun by carol",
			"To come: lock, end. Evidence was taken before it, of 1 process; the SHA-256 of its SHA256SUMS is ab12. The hub has the evidence."},
		{ResponseBegun("7K3F", "carol", []string{"end"}, 2, "", ""), "Response to 7K3F begun by carol", "To come: end. No evidence was kept."},
		{OrderGiven(Order{"7K3F", "web1", "carol", "lock, end for 1d"}), "Order to web1 about 7K3F", "By carol: lock, end for 1d. web1 has five minutes to fetch it, and tells what becomes of it."},
		{OrderEnded(Order{"7K3F", "web1", "carol", "lock"}, "refused", "it is for db1"), "Order about 7K3F, refused: lock", "By carol. It is for db1."},
		{Responded(lock), "Response to 7K3F, done: Lock the account alice", "By carol. It has expired. To undo it: sshnotify respond undo 7K3F"},
		{Responded(left), "Response to 7K3F, done, and something is left: End the session of alice", "By carol. 3 processes. Left: 111 (sleep)."},
		{Undone(lock), "Undo of the response to 7K3F, done: Lock the account alice", "By carol. It has expired."},
	} {
		want := event.Note{Severity: event.High, Title: c.title, Text: c.text}
		if diff := cmp.Diff(want, c.got); diff != "" {
			t.Error(diff)
		}
	}
}
