package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"
)

// The page's form. The style is the only thing that a browser is allowed to heed, by
// its hash, so that the page has no style attribute: what is drawn has attributes of
// SVG, and classes.
var (
	//go:embed page.html
	pageTemplate string
	//go:embed style.css
	style string
)

// Policy is the page's content security policy, which also stands in it.
func Policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// view is a page as it is drawn.
type view struct {
	Page
	CSP   string
	Style template.CSS // ours
	World string
	Dots  []dot
	Chart chart
	Title string
}

// dot is one mark on the map.
type dot struct {
	X, Y  string
	Class string // login, odd or attack
	Shape string // a path
	Text  string
}

// chart has the bars of the days, in a square of chartWidth and chartHeight that is
// stretched to its place.
type chart struct {
	Bars               []bar
	Most               string // logins of the highest
	First, Middle, End string
	Caption            string
}

type bar struct {
	X, Width     string
	Y, Height    string // of all
	OddY, OddH   string // of the unusual ones; empty: there are none
	MarkX, MarkY string
	Text         string
}

// How much of a long table is open, and the rest folded.
const (
	openAttackers = 10
	openPeople    = 40
)

const (
	chartWidth  = 1000.0
	chartHeight = 200.0
	chartTop    = 22.0 // above the bars, for marks
)

// HTML writes the page.
func (p Page) HTML(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{"n": number, "upper": strings.ToUpper,
		"first": func(a []AttackerRow) []AttackerRow { return a[:min(len(a), openAttackers)] }, "rest": func(a []AttackerRow) []AttackerRow { return a[min(len(a), openAttackers):] },
		"head": func(p []PersonRow) []PersonRow { return p[:min(len(p), openPeople)] }, "tail": func(p []PersonRow) []PersonRow { return p[min(len(p), openPeople):] },
		"day": func(date string) string { return dayText(date, "2 Jan 2006") }}).Parse(pageTemplate)
	if err != nil {
		return err
	}
	v := view{Page: p, CSP: Policy(), Style: template.CSS(style), World: strings.TrimSpace(worldPath), Dots: dots(p.Places), Chart: p.chart(), Title: "SSH logins"}
	if p.Host != "" {
		v.Title += ": " + p.Host
	}
	return t.Execute(w, v)
}

// Marks differ in form as well as in colour. They are drawn larger where the map is
// small.
func dots(places []Place) (out []dot) {
	mark := func(d Place, class, shape, text string, dx, dy float64) {
		x, y := (d.Lon+180)/360*1000+dx, (90-d.Lat)/180*500+dy
		out = append(out, dot{fmt.Sprintf("%.1f", x), fmt.Sprintf("%.1f", y), class, shape, d.Name + ": " + text})
	}
	for _, d := range places { // beneath the others
		if d.Attackers > 0 {
			r := size(d.Attempts, 4)
			shift := 0.0
			if d.Logins > 0 {
				shift = -7
			}
			mark(d, "attack", fmt.Sprintf("M0 %.1fL%.1f %.1fH%.1fz", -r, r, r*0.8, -r), plural(d.Attackers, "attacker", "attackers")+", "+plural(d.Attempts, "attempt", "attempts"), shift, shift)
		}
	}
	for _, d := range places {
		if d.Logins > 0 && d.Unusual == 0 {
			r := size(d.Logins, 4)
			mark(d, "login", fmt.Sprintf("M-%[1]g 0a%[1]g %[1]g 0 1 0 %[2]g 0a%[1]g %[1]g 0 1 0-%[2]g 0z", r, 2*r), plural(d.Logins, "login", "logins"), 0, 0)
		}
	}
	for _, d := range places {
		if d.Unusual > 0 {
			r := size(d.Logins, 4) + 4
			mark(d, "odd", fmt.Sprintf("M0 %.1fL%.1f 0L0 %.1fL%.1f 0z", -r, r, r, -r), fmt.Sprintf("%s, %s unusual", plural(d.Logins, "login", "logins"), number(d.Unusual)), 0, 0)
		}
	}
	return out
}

// size grows slowly with a count.
func size(n int, least float64) float64 {
	return math.Round((least+math.Min(6, 1.5*math.Log10(float64(max(1, n)))))*2) / 2
}

func (p Page) chart() (c chart) {
	most, unit := 1, "day"
	for _, d := range p.Days {
		most = max(most, d.Logins)
	}
	if p.Weeks {
		unit = "week"
	}
	c.Most = number(most)
	c.Caption = fmt.Sprintf("Logins a %s, at most %s", unit, c.Most)
	step := chartWidth / float64(max(1, len(p.Days)))
	high := func(n int) float64 { return float64(n) / float64(most) * (chartHeight - chartTop) }
	for i, d := range p.Days {
		h := high(d.Logins)
		if d.Logins > 0 {
			h = max(h, 2)
		}
		x := float64(i) * step
		b := bar{X: f1(x + step*0.12), Width: f1(step * 0.76), Y: f1(chartHeight - h), Height: f1(h)}
		b.Text = dayText(d.Date, "Mon 2 Jan") + ": " + plural(d.Logins, "login", "logins")
		if p.Weeks {
			b.Text = "week of " + b.Text
		}
		if d.Unusual > 0 {
			odd := max(high(d.Unusual), 4)
			b.OddY, b.OddH, b.MarkX, b.MarkY = f1(chartHeight-odd), f1(odd), f1(x+step/2), f1(chartHeight-h-chartTop/2)
			b.Text += ", " + number(d.Unusual) + " unusual"
		}
		c.Bars = append(c.Bars, b)
	}
	if n := len(p.Days); n > 0 {
		c.First, c.Middle, c.End = dayText(p.Days[0].Date, "2 Jan"), dayText(p.Days[n/2].Date, "2 Jan"), dayText(p.Days[n-1].Date, "2 Jan")
	}
	return c
}

func f1(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }

// dayText writes a date of Day.
func dayText(date, form string) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return t.Format(form)
}
