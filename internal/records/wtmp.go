package records

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/history"
)

// The records of wtmp, see utmp(5), in the two sizes that glibc has on Linux
// with the least significant byte first: 384 bytes where a program of 32 bits
// may share the file (x86), and 400 where the session and the
// time have 64 bits (arm64). Up to the session they are the same.
const (
	wtmpType    = 0
	wtmpLine    = 8
	wtmpUser    = 44
	wtmpHost    = 76
	wtmpSession = 336

	userProcess = 7 // ut_type of a login
	lastType    = 9
)

type wtmpForm struct{ size, sec, usec, addr int }

var wtmpForms = [...]wtmpForm{
	{size: 384, sec: 340, usec: 344, addr: 348},
	{size: 400, sec: 344, usec: 352, addr: 360},
}

// readWtmp reads the logins over the network, of those with a terminal only; neither
// port nor key is in it.
func readWtmp(r io.Reader, n *Counts, give func(history.Entry) bool) error {
	const lookahead = 2 * 384 * 25 // two times as long as it takes until both sizes meet again
	b := bufio.NewReaderSize(r, lookahead)
	head, err := b.Peek(lookahead)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	form := guessForm(head)
	record := make([]byte, form.size)
	for {
		_, err := io.ReadFull(b, record)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF): // torn by a crash, or being written
			n.Bad++
			return nil
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch e, ok, bad := form.parse(record); {
		case bad:
			n.Bad++
		case !ok:
			n.Other++
		default:
			n.Logins++
			if !give(e) {
				return nil
			}
		}
	}
}

// guessForm tells the size of the records from the first of them.
func guessForm(head []byte) wtmpForm {
	best, most := wtmpForms[0], -1
	for _, f := range wtmpForms {
		good := 0
		for i := 0; i+f.size <= len(head); i += f.size {
			r := head[i : i+f.size]
			if t := f.time(r); r[wtmpType] <= lastType && r[1] == 0 && r[2] == 0 && r[3] == 0 && plausible(t) && t.Year() < 2100 {
				good++
			}
		}
		if good > most {
			best, most = f, good
		}
	}
	return best
}

// time reads when the record was written. The short form has 32 bits for it,
// which are taken without a sign: there was no sshd before 1970, and there will
// be some after 2038.
func (f wtmpForm) time(r []byte) time.Time {
	if f.size == 400 {
		return time.Unix(int64(binary.LittleEndian.Uint64(r[f.sec:])), int64(binary.LittleEndian.Uint32(r[f.usec:]))*1000)
	}
	return time.Unix(int64(binary.LittleEndian.Uint32(r[f.sec:])), int64(binary.LittleEndian.Uint32(r[f.usec:]))*1000)
}

func (f wtmpForm) parse(r []byte) (e history.Entry, ok, bad bool) {
	kind := binary.LittleEndian.Uint16(r[wtmpType:])
	if kind > lastType {
		return e, false, true
	}
	line := text(r[wtmpLine : wtmpLine+32])
	// sshd's line is the terminal; before it has one, "ssh" (PAM_TTY).
	if kind != userProcess || !bytes.HasPrefix(line, []byte("pts/")) && !bytes.HasPrefix(line, []byte("ssh")) {
		return e, false, false
	}
	user, from := text(r[wtmpUser:wtmpUser+32]), text(r[wtmpHost:wtmpSession-4])
	ip := remote(r[f.addr:f.addr+16], string(from))
	if !ip.IsValid() {
		return e, false, false // a terminal of screen or tmux, or a name that nothing is known of
	}
	at := f.time(r)
	if len(user) == 0 || !plausible(at) || binary.LittleEndian.Uint32(r[f.usec:]) >= 1e6 {
		return e, false, true
	}
	return history.Entry{Time: at, User: string(user), Service: "sshd", IP: ip, Source: history.SourceWtmp}, true, false
}

// remote returns the address of the far end; invalid: there is none. ut_host is
// asked first, because in ut_addr_v6 an IPv6 address that ends in 96 zeros
// can't be told from an IPv4 one.
func remote(addr []byte, host string) netip.Addr {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().WithZone("")
	}
	zero := make([]byte, 16)
	switch {
	case bytes.Equal(addr, zero):
		return netip.Addr{}
	case bytes.Equal(addr[4:], zero[4:]):
		return netip.AddrFrom4([4]byte(addr[:4]))
	}
	return netip.AddrFrom16([16]byte(addr)).Unmap()
}

// text ends at the first NUL, if there is one.
func text(b []byte) []byte {
	b, _, _ = bytes.Cut(b, []byte{0})
	return b
}
