package parse

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// How much of a line its form has.
const (
	formWords = 6
	maxForm   = 80
)

// Form is how a line that is not read begins, without what varies: words with a
// digit, a quote or an address in them. "" there is nothing unread.
func (r Result) Form() string {
	if r.Unread == "" {
		return ""
	}
	words := strings.Fields(r.Unread[:min(len(r.Unread), 1000)])
	more := len(words) > formWords
	words = words[:min(len(words), formWords)]
	for i, w := range words {
		if strings.ContainsAny(w, `0123456789"'@/\`) {
			words[i] = "#"
		}
	}
	form := event.Clean(strings.Join(words, " "), maxForm)
	if more {
		form += " …"
	}
	return form
}

// Unread counts lines of known daemons of which nobody knows what they say, by
// daemon and form; all but the first maxForms forms are in More.
type Unread struct {
	ByForm map[string]int64 `json:"unread,omitempty"`
	More   int64            `json:"unread_more,omitempty"`
}

// maxForms is how many forms of unread lines are told apart: they may hold what
// strangers wrote.
const maxForms = 50

// Add counts a line that is not read.
func (u *Unread) Add(r Result) {
	form := r.Parser + ": " + r.Form()
	if _, known := u.ByForm[form]; !known && len(u.ByForm) >= maxForms {
		u.More++
		return
	}
	if u.ByForm == nil {
		u.ByForm = map[string]int64{}
	}
	u.ByForm[form]++
}

// Form is how often lines of one form came.
type Form struct {
	Form string
	N    int64
}

// Forms returns the forms of unread lines, the commonest first, and how many lines
// of known daemons are not read.
func Forms(all ...Unread) (forms []Form, total int64) {
	sum := map[string]int64{}
	for _, u := range all {
		total += u.More
		for form, n := range u.ByForm {
			sum[form] += n
			total += n
		}
	}
	for form, n := range sum {
		forms = append(forms, Form{form, n})
	}
	slices.SortFunc(forms, func(a, b Form) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Form, b.Form)) })
	return forms, total
}
