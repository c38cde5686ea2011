package slackmsg

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

var entities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Escape makes s safe against Slack's entities (mentions, links, dates), as
// https://docs.slack.dev/messaging/formatting-message-text says: & < and > and
// nothing else, in one pass. It does nothing about * _ ~ ` and :emoji:, for
// which Slack has no escape.
func Escape(s string) string { return entities.Replace(s) }

// Slack has no escape for these, and a zero-width character between them would
// be the very thing that is kept out elsewhere. So they are replaced by what
// looks like them, and only where they would do something.
const (
	likeAsterisk   = '\u2217' // ∗
	likeBacktick   = '\u02cb' // ˋ
	likeTilde      = '\u223c' // ∼
	likeUnderscore = '\u02cd' // ˍ
	likeColon      = '\u2236' // ∶
	likeQuote      = '\u203a' // ›
)

// cell is one character of a line that is being rendered.
type cell struct {
	r         rune
	untrusted bool // from outside, and no address: may be replaced
	ready     bool // our own markup: not to be escaped
}

// neutralize replaces what Slack would act on among the untrusted cells of one line.
// It looks at the whole line, because half of an emoji may be somebody's name
// and the other half our own punctuation.
func neutralize(cells []cell, mrkdwn bool) {
	for i := range cells {
		c := &cells[i]
		if c.r == ':' {
			neutralizeColon(cells, i)
		}
		if !mrkdwn || !c.untrusted {
			continue
		}
		switch c.r {
		case '*':
			c.r = likeAsterisk
		case '`':
			c.r = likeBacktick
		case '~':
			c.r = likeTilde
		case '_':
			if atWordEdge(cells, i) {
				c.r = likeUnderscore
			}
		case '>':
			if startsLine(cells, i) {
				c.r = likeQuote
			}
		}
	}
}

// neutralizeColon breaks :emoji: and the start of a bare URL at cell i.
func neutralizeColon(cells []cell, i int) {
	if cells[i].untrusted && i+2 < len(cells) && cells[i+1].r == '/' && cells[i+2].r == '/' {
		cells[i].r = likeColon
		return
	}
	end := i + 1
	for end < len(cells) && cells[end].r != ':' && cells[end].r != likeColon && !unicode.IsSpace(cells[end].r) {
		end++
	}
	if end == len(cells) || cells[end].r != ':' || !namesEmoji(cells[i+1:end]) {
		return
	}
	if cells[i].untrusted {
		cells[i].r = likeColon
	} else if cells[end].untrusted {
		cells[end].r = likeColon
	}
}

// namesEmoji reports whether what stands between two colons may be the name of
// an emoji, a workspace's own included. Only numbers are not (but two are): so
// that times, and uid:1000, stay as they are.
func namesEmoji(between []cell) bool {
	number := true
	var name strings.Builder
	for _, c := range between {
		name.WriteRune(c.r)
		number = number && c.r >= '0' && c.r <= '9'
	}
	return !number || slices.Contains(hexEmoji, ":"+name.String()+":")
}

// atWordEdge reports whether the underscore at i could open or close italics.
// One inside a word, as in deploy_bot, can't.
func atWordEdge(cells []cell, i int) bool {
	before, after := i-1, i+1
	for before >= 0 && cells[before].r == '_' {
		before--
	}
	for after < len(cells) && cells[after].r == '_' {
		after++
	}
	return before < 0 || after >= len(cells) || !inWord(cells[before].r) || !inWord(cells[after].r)
}

// inWord leaves out the replaced underscore, which Unicode calls a letter: it
// was at an edge, and so is the next one of its run.
func inWord(r rune) bool { return unicode.IsLetter(r) && r != likeUnderscore || unicode.IsDigit(r) }

// startsLine reports whether nothing but quote marks and spaces stand before i:
// there Slack takes even "&gt;" for a quotation.
func startsLine(cells []cell, i int) bool {
	for _, c := range cells[:i] {
		if c.r != likeQuote && !unicode.IsSpace(c.r) {
			return false
		}
	}
	return true
}

// hexEmoji are the standard emoji whose names could be a group of an IPv6
// address: 2001:db8:cd::1 holds a compact disc.
var hexEmoji = []string{":100:", ":1234:", ":a:", ":ab:", ":abc:", ":abcd:", ":b:", ":bed:", ":bee:", ":cd:", ":de:"}

func holdsEmoji(address string) bool {
	for _, name := range hexEmoji {
		if strings.Contains(address, name) {
			return true
		}
	}
	return false
}

// untrustedCells returns the cells of a string from outside. An IPv6 address in it is
// kept as it is, so that it can be copied.
func untrustedCells(s string) []cell {
	cells := make([]cell, 0, len(s))
	for word := range strings.SplitAfterSeq(s, " ") {
		untrusted := !isIPv6(strings.TrimLeft(strings.TrimRight(word, " ,;.)"), "("))
		for _, r := range word {
			cells = append(cells, cell{r: r, untrusted: untrusted})
		}
	}
	return cells
}

// isIPv6 refuses a zone, which may be any text, and what holds an emoji.
func isIPv6(s string) bool {
	if !strings.Contains(s, ":") {
		return false
	}
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Zone() == "" && !holdsEmoji(s)
}
