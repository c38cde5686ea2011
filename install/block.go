package install

import (
	"bytes"
	"errors"
	"fmt"
)

// The lines between which everything belongs to sshnotify, in start-up files
// and crontabs.
const (
	blockBegin = "# >>> sshnotify >>>"
	blockEnd   = "# <<< sshnotify <<<"
)

// ErrDamaged: one of the two marker lines of a block is missing or out of
// order, so that nobody can tell what is ours. Nothing is changed.
var ErrDamaged = errors.New("damaged sshnotify block")

// ErrBinary: a file that should be text has NUL bytes in it.
var ErrBinary = errors.New("not a text file")

// span is a part of a text, by bytes.
type span struct{ from, to int }

// lines cuts a text into lines, each with its newline; the last may lack it.
func lines(text []byte) []span {
	var out []span
	for from := 0; from < len(text); {
		to := len(text)
		if i := bytes.IndexByte(text[from:], '\n'); i >= 0 {
			to = from + i + 1
		}
		out = append(out, span{from, to})
		from = to
	}
	return out
}

// findBlocks returns the blocks of a text, markers and final newline included.
func findBlocks(text []byte) ([]span, error) {
	var blocks []span
	begin, beginLine := -1, 0
	for i, l := range lines(text) {
		// An editor may have given the file other line endings.
		switch line := string(bytes.TrimSpace(text[l.from:l.to])); {
		case line == blockBegin && begin >= 0:
			return nil, fmt.Errorf("%w: line %d begins a block that line %d began already", ErrDamaged, i+1, beginLine)
		case line == blockBegin:
			begin, beginLine = l.from, i+1
		case line == blockEnd && begin < 0:
			return nil, fmt.Errorf("%w: line %d ends a block that has no beginning (%s)", ErrDamaged, i+1, blockBegin)
		case line == blockEnd:
			blocks = append(blocks, span{begin, l.to})
			begin = -1
		}
	}
	if begin >= 0 {
		return nil, fmt.Errorf("%w: the block that line %d begins has no end (%s)", ErrDamaged, beginLine, blockEnd)
	}
	return blocks, nil
}

// setBlock puts a block, which ends in a newline, into a text, so that
// cutBlock returns back the text. An older one is brought up to date where it
// is, if nothing above it can keep it from being reached, and moved up
// otherwise.
func setBlock(text []byte, block string) ([]byte, error) {
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, ErrBinary
	}
	blocks, err := findBlocks(text)
	if err != nil {
		return nil, err
	}
	if len(blocks) > 0 && !mayReturn(text[:blocks[0].from]) {
		first := blocks[0]
		rest := cut(text[first.to:], shift(blocks[1:], -first.to))
		if len(rest) == 0 && !bytes.HasSuffix(text[:first.to], []byte("\n")) {
			block = block[:len(block)-1]
		}
		return join(text[:first.from], block, rest), nil
	}
	text = cut(text, blocks)
	at := head(text)
	return join(text[:at], block, text[at:]), nil
}

// cutBlock takes every block out of a text.
func cutBlock(text []byte) ([]byte, error) {
	blocks, err := findBlocks(text)
	if err != nil {
		return nil, err
	}
	return cut(text, blocks), nil
}

func cut(text []byte, parts []span) []byte {
	var out []byte
	at := 0
	for _, s := range parts {
		out = append(out, text[at:s.from]...)
		at = s.to
	}
	return append(out, text[at:]...)
}

func shift(parts []span, by int) []span {
	out := make([]span, len(parts))
	for i, s := range parts {
		out[i] = span{s.from + by, s.to + by}
	}
	return out
}

func join(before []byte, middle string, after []byte) []byte {
	out := make([]byte, 0, len(before)+len(middle)+len(after))
	out = append(out, before...)
	out = append(out, middle...)
	return append(out, after...)
}

// head returns the place for a new block: behind the comment at the beginning
// of a text that an empty line ends, and otherwise at the very beginning. Both
// are above any guard, and no word, quote or here-document can be open there.
func head(text []byte) int {
	for i, l := range lines(text) {
		line := bytes.TrimSpace(text[l.from:l.to])
		switch {
		case len(line) == 0 && i > 0 && text[l.to-1] == '\n':
			return l.to
		case len(line) == 0 || line[0] != '#':
			return 0
		}
	}
	return 0
}

// mayReturn reports whether a line of a start-up file can end the reading of it:
// the guards of non-interactive shells do.
func mayReturn(text []byte) bool {
	for _, l := range lines(text) {
		line, _, _ := bytes.Cut(text[l.from:l.to], []byte("#"))
		for _, word := range bytes.FieldsFunc(line, notLetter) {
			if w := string(word); w == "return" || w == "exit" || w == "exec" {
				return true
			}
		}
	}
	return false
}

func notLetter(r rune) bool { return (r < 'a' || r > 'z') && r != '_' && r != '-' }
