package report

import (
	"cmp"
	_ "embed"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/history"
)

// The land of the world, and where on it each country is, as tools/worldmap makes
// them of Natural Earth's data.
//
//go:generate sh -c "cd ../../tools/worldmap && npm ci --ignore-scripts && npm run make"
var (
	//go:embed world.path
	worldPath string
	//go:embed places.txt
	worldPlaces string
)

// middle returns where a country is drawn.
func middle(code string) (lat, lon float64, ok bool) {
	if len(code) != 2 {
		return 0, 0, false
	}
	i := strings.Index(worldPlaces, "\n"+code+" ") + 1
	if i == 0 && !strings.HasPrefix(worldPlaces, code+" ") {
		return 0, 0, false
	}
	line, _, _ := strings.Cut(worldPlaces[i+len("IE "):], "\n")
	north, east, _ := strings.Cut(line, " ")
	lat, err := strconv.ParseFloat(north, 64)
	lon, err2 := strconv.ParseFloat(east, 64)
	return lat, lon, err == nil && err2 == nil
}

// place is what makes two logins one dot: half a degree, and what it is called.
type place struct {
	lat, lon int // in half degrees
	name     string
}

// place puts a login on the map.
func (b *Builder) place(e history.Entry, code string, odd bool) {
	var lat, lon float64
	ok, name := false, countryName(code)
	if p := e.Place.Point; p != nil && !b.o.Mask && code == e.Place.Country && math.Abs(p.Lat) <= 90 && math.Abs(p.Lon) <= 180 {
		lat, lon, ok = p.Lat, p.Lon, true
		if city := clean(e.Place.City); city != "" {
			name = strings.TrimSuffix(city+", "+name, ", ")
		}
	} else {
		lat, lon, ok = middle(code)
	}
	if !ok {
		return
	}
	d := b.dot(lat, lon, name)
	d.Logins++
	if odd {
		d.Unusual++
	}
}

func (b *Builder) attacker(code string, attempts int) {
	if lat, lon, ok := middle(code); ok {
		d := b.dot(lat, lon, countryName(code))
		d.Attackers++
		d.Attempts += attempts
	}
}

func (b *Builder) dot(lat, lon float64, name string) *Place {
	k := place{int(math.Round(lat * 2)), int(math.Round(lon * 2)), name}
	d := b.places[k]
	if d == nil {
		d = &Place{Name: cmp.Or(name, "somewhere"), Lat: float64(k.lat) / 2, Lon: float64(k.lon) / 2}
		b.places[k] = d
	}
	return d
}

// ofPlaces lists the places: the unusual first, then by logins and attempts.
func (b *Builder) ofPlaces(p *Page) {
	p.NotPlaced = p.Logins
	all := slices.SortedFunc(maps.Values(b.places), func(x, y *Place) int {
		return cmp.Or(cmp.Compare(y.Unusual, x.Unusual), cmp.Compare(y.Logins, x.Logins), cmp.Compare(y.Attempts, x.Attempts), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Lat, y.Lat), cmp.Compare(x.Lon, y.Lon))
	})
	for _, d := range all {
		p.NotPlaced -= d.Logins
		if len(p.Places) < maxPlaces {
			p.Places = append(p.Places, *d)
		}
	}
	p.MorePlaces = len(all) - len(p.Places)
}
