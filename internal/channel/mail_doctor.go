package channel

import (
	"context"
	"os/exec"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// Checks look whether the program is there or, online, whether the server takes
// mails as they would be sent.
func (m *mail) Checks() []doctor.Check {
	switch post := m.post.(type) {
	case *sendmail:
		return []doctor.Check{{Run: func(_ context.Context, r *doctor.Report) {
			name := "mail " + m.name
			if _, err := exec.LookPath(post.path); err != nil {
				r.Fail(name, "install a mail system that brings it (apt install postfix, or msmtp-mta), or name an SMTP server in "+r.Config, "there is no program %s", post.path)
				return
			}
			r.OK(name, "%s is there; only a test message shows whether mail leaves this host: %s", post.path, r.Command("test"))
		}}}
	case *smtpServer:
		return []doctor.Check{{Needs: doctor.NeedsOnline, Run: func(ctx context.Context, r *doctor.Report) { m.reach(ctx, post, r) }}}
	}
	return nil
}

// reach goes as far with the server as it can without sending a mail: to the
// answer to RCPT TO.
func (m *mail) reach(ctx context.Context, server *smtpServer, r *doctor.Report) {
	name := "online " + m.name
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	start := time.Now()
	s, err := server.dial(ctx)
	if err != nil {
		r.Fail(name, err.Hint, "%v", err)
		return
	}
	defer s.close()
	said := false
	for _, to := range m.to {
		f := s.address(m.from.Address.Address, to.Address.Address)
		over := f != nil && f.over || s.client.Reset() != nil
		switch {
		case f == nil:
		case f.Class == Again:
			r.Warn(name, "ask again later: "+r.Command("doctor --online"), "%s: %v", to.Address.Address, f.Error)
		default:
			r.Fail(name, f.Hint, "%s: %v", to.Address.Address, f.Error)
		}
		said = said || f != nil
		if over {
			break
		}
	}
	if !said {
		r.OK(name, "%s%s takes mail for %s (%v); none was sent", server, server.how(), addresses(m.to), time.Since(start).Round(time.Millisecond))
	}
}

// how says in which way mails go there.
func (s *smtpServer) how() string {
	how := ""
	if s.tls != mailNoTLS {
		how = " over TLS"
	}
	if s.username != "" {
		how += " as " + s.username
	}
	return how
}

func addresses(all []Address) string {
	var out []string
	for _, a := range all {
		out = append(out, a.Address.Address)
	}
	return strings.Join(out, ", ")
}
