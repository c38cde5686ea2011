package event

import (
	"encoding/json"
	"slices"
	"time"
)

// eventV1 is an event of version 1, which had the parts of all bodies beside
// each other, and kept what a watcher counted as words.
type eventV1 struct {
	Event
	By   string `json:"by"`
	Auth Auth   `json:"auth"`
	Note *Note  `json:"note"`
	// Rows were the lines of a digest, which was an alert or an attack.
	Rows []Row `json:"rows"`
	Span struct {
		First time.Time `json:"first"`
		Last  time.Time `json:"last"`
	} `json:"span"`
}

// flagCrowdV1 stood for Witness.Crowd.
const flagCrowdV1 Flag = "crowd"

// decodeV1 reads an event of version 1 into the form of today. Words stay as
// they were written.
func decodeV1(b []byte) (Event, error) {
	var old eventV1
	if err := json.Unmarshal(b, &old); err != nil {
		return Event{}, err
	}
	e := old.Event
	e.V = Version
	e.Login, e.Logout, e.Witness = Login{By: old.By, Auth: old.Auth}, Logout{old.By}, Witness{By: old.By, Crowd: e.Has(flagCrowdV1)}
	e.Flags = slices.DeleteFunc(e.Flags, func(f Flag) bool { return f == flagCrowdV1 })
	if len(e.Flags) == 0 {
		e.Flags = nil
	}
	e.Attack, e.Match, e.Alert, e.Digest = nil, nil, old.Note, nil
	var note Note
	if old.Note != nil {
		note = *old.Note
	}
	switch e.Kind {
	case KindAttack:
		e.Attack = &Attack{Note: note, Auth: old.Auth}
	case KindMatch:
		e.Match = &Match{Pattern: e.Service, Note: note}
		e.Service = ""
	}
	if len(old.Rows) > 0 && (e.Kind == KindAttack || e.Kind == KindAlert) {
		of := KindLogin
		if e.Kind == KindAttack {
			of = KindAttempt
		}
		e.Kind, e.Digest = KindDigest, &Digest{Of: of, Rows: old.Rows, First: old.Span.First, Last: old.Span.Last}
	}
	return e, nil
}
