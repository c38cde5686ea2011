package message

import (
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// reportParts is what a report comes to besides what waits for an answer, the most
// important first.
func reportParts(r *event.Report) []string {
	var parts []string
	if n := len(r.Failing) + r.MoreFailing; n > 0 {
		parts = append(parts, plural(n, "host")+" to look at")
	}
	switch {
	case r.Logins == 0:
		parts = append(parts, "no login")
	case r.Unusual > 0:
		parts = append(parts, number(r.Unusual)+" of "+plural(r.Logins, "login")+" unusual")
	default:
		parts = append(parts, plural(r.Logins, "login"))
	}
	return parts
}

// reported is the rest of a report, behind what was unusual and what waits for an
// answer. link leads to the page.
func reported(r *event.Report, link Line) (all []Section) {
	if len(r.Failing) > 0 {
		all = append(all, Section{Name: "Hosts to look at", Head: rowHosts(event.Row{Hosts: r.Failing, MoreHosts: r.MoreFailing})})
	}
	var counts []string
	if r.People > 0 {
		counts = append(counts, plural(r.Logins, "login")+" of "+people(r.People))
	}
	if r.Keys > 0 {
		counts = append(counts, plural(r.Keys, "key")+" that nobody owns")
	}
	if r.Failed > 0 {
		counts = append(counts, plural(r.Failed, "failed login"))
	}
	if len(counts) > 0 {
		all = append(all, Section{Name: "Counted", Head: Line{literal(strings.Join(counts, ", "))}})
	}
	page := slices.Clone(link)
	if r.Oversize > 0 {
		if len(page) > 0 {
			page = append(page, literal("; "))
		}
		page = append(page, literal("too large to be attached: sudo sshnotify report writes it"))
	}
	if len(page) > 0 {
		all = append(all, Section{Name: thePage, Head: page})
	}
	return all
}

// pageLink leads to the page of now; empty: nobody serves it.
func pageLink(r *event.Report) Line {
	u := safeURL(r.URL)
	if u == "" {
		return nil
	}
	return Line{{Kind: Link, Text: u, Spans: []Span{literal("as it is now")}}}
}

// thePage is the section that says where the page is.
const thePage = "The page"

// Attached returns the message of a report with the word that its page comes with it.
func (m Message) Attached() Message {
	m.Sections = slices.Clone(m.Sections)
	head := Line{literal("attached")}
	for i, s := range m.Sections {
		if s.Name == thePage {
			m.Sections[i].Head = join(head, Line{literal("; ")}, s.Head)
			return m
		}
	}
	m.Sections = append(m.Sections, Section{Name: thePage, Head: head})
	return m
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return number(n) + " people"
}
