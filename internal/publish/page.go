package publish

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"time"
)

// The page asks nothing of anybody, and a browser that gets it is told so:
// whatever stood in it could neither run nor load anything.
const head = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="referrer" content="no-referrer"/>
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no"/>
<title>Addresses that tried to log in</title>
<link rel="alternate" type="application/json" href="feed.json" title="The same as JSON"/>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color-scheme: light dark; }
div { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top; }
td:first-child { font-family: ui-monospace, monospace; white-space: nowrap; }
.n { text-align: right; }
</style>
</head>
<body>
<main>
<h1>Addresses that tried to log in</h1>
`

// page takes entries that are clean. It is HTML that is XML as well: every tag
// is closed.
func page(entries []Entry, now time.Time) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	fmt.Fprintf(&b, "<p>Attempts to guess a password or a name, seen in the last 7 days. Written %s. The same <a href=\"feed.json\">as JSON</a>.</p>\n", at(now))
	b.WriteString("<p>An address may have changed hands since, or be that of a machine whose owner knows nothing of it. Names were made harmless: (at) stands for an at sign, (dot) for a point, and so on.</p>\n")
	if len(entries) == 0 {
		b.WriteString("<p>None.</p>\n")
	} else {
		table(&b, entries)
	}
	b.WriteString("</main>\n</body>\n</html>\n")
	return b.Bytes()
}

func table(b *bytes.Buffer, entries []Entry) {
	names := false
	for _, e := range entries {
		names = names || len(e.Names) > 0
	}
	columns := `<th scope="col">Address</th><th scope="col">Service</th><th scope="col" class="n">Attempts</th><th scope="col">First</th><th scope="col">Last</th><th scope="col">Network</th>`
	if names {
		columns += `<th scope="col">Names tried</th>`
	}
	fmt.Fprintf(b, "<div>\n<table>\n<thead>\n<tr>%s</tr>\n</thead>\n<tbody>\n", columns)
	for _, e := range entries {
		fmt.Fprintf(b, `<tr><td>%s</td><td>%s</td><td class="n">%d</td><td>%s</td><td>%s</td><td>%s</td>`,
			html.EscapeString(e.IP.String()), html.EscapeString(e.Service), e.Attempts, at(e.First), at(e.Last), html.EscapeString(e.owner()))
		if names {
			fmt.Fprintf(b, "<td>%s</td>", html.EscapeString(strings.Join(e.Names, ", ")))
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</tbody>\n</table>\n</div>\n")
}

// at writes a time for people and for programs; of an unknown one nothing.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return `<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format(stamp) + ` UTC</time>`
}
