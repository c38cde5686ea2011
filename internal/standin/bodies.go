package standin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// The bodies have the keys and types of the API's OpenAPI description, version
// 1.2.27 (https://github.com/APIs-guru/openapi-directory), and the form of the
// examples in https://github.com/threatjammer/markdown-docs.

// assess answers /v1/assess/ip/{ip}.
func (f *facts) assess(ip netip.Addr) Answer {
	a := f.about(ip)
	out := struct {
		Self        string   `json:"self"`
		Score       *int     `json:"score,omitempty"`
		Risk        string   `json:"risk"`
		Datasets    []string `json:"datasets"`
		Sources     []string `json:"sources"`
		First       []string `json:"first_appearance"`
		Last        []string `json:"last_appearance"`
		ASN         string   `json:"asn"`
		ASNPrefix   string   `json:"asn_prefix"`
		Reason      string   `json:"reason"`
		Denylisted  string   `json:"denylisted"`
		Allowlisted string   `json:"allowlisted"`
		Datacenter  string   `json:"datacenter"`
		DCPrefix    string   `json:"datacenter_prefix"`
	}{
		Self: "/v1/assess/ip/" + ip.String(), Score: &a.Score, Risk: a.Risk, Reason: a.Reason,
		Datasets: []string{}, Sources: []string{}, First: []string{}, Last: []string{},
	}
	if a.NoScore {
		out.Score = nil
	}
	if a.ASN != 0 {
		bits := 24
		if ip.Is6() {
			bits = 48
		}
		net, _ := ip.Prefix(bits)
		out.ASN = fmt.Sprintf("/v1/asn/%d", a.ASN)
		out.ASNPrefix = "/v1/asn/prefix/" + strings.ReplaceAll(net.String(), "/", "%252F") // escaped twice, as the real one does
	}
	return answerJSON(http.StatusOK, out)
}

// geo answers /v1/geo/{ip}.
func (f *facts) geo(ip netip.Addr) Answer {
	a := f.about(ip)
	if a.City == "" && a.Region == "" && a.Country == "" {
		return answerNotFound("IP_ADDRESS")
	}
	return answerJSON(http.StatusOK, struct {
		Self       string   `json:"self"`
		Accuracy   int      `json:"accuracy_radius"`
		ASNCountry string   `json:"asn_country_iso_code"`
		CityCode   int      `json:"city_geoname_code"`
		City       string   `json:"city_name"`
		Continent  string   `json:"continent_code"`
		Country    string   `json:"country_iso_code"`
		Hostnames  []string `json:"hostnames"`
		Latitude   float64  `json:"latitude"`
		Longitude  float64  `json:"longitude"`
		Postal     string   `json:"postal_code"`
		RegionCode int      `json:"region_geoname_code"`
		Region     string   `json:"region_name"`
		TimeZone   string   `json:"time_zone"`
	}{
		Self: "/v1/geo/" + ip.String(), Accuracy: 10, ASNCountry: a.Country, CityCode: 1, City: a.City,
		Continent: "EU", Country: a.Country, Hostnames: []string{}, Latitude: 50.5, Longitude: 10.25,
		RegionCode: 1, Region: a.Region, TimeZone: "UTC",
	})
}

// asn answers /v1/asn/{number}.
func (f *facts) asn(number string) Answer {
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return answerMalformed("asn", "value is not a valid integer", "type_error.integer")
	}
	known, ok := f.networks[uint32(n)]
	if !ok {
		if n < firstASN || n > lastASN {
			return answerNotFound("ASN")
		}
		known = networkName{exampleNet, exampleNetworks, "ZZ"}
	}
	return answerJSON(http.StatusOK, struct {
		Self        string `json:"self"`
		Name        string `json:"name"`
		Description string `json:"description"`
		Country     string `json:"country_code"`
		Date        string `json:"registry_date"`
		Registry    string `json:"registry"`
		Status      string `json:"status"`
		Prefixes    string `json:"prefixes"`
		Score       int    `json:"score"`
		Risk        string `json:"risk"`
	}{
		Self: fmt.Sprintf("/v1/asn/%d", n), Name: known.name, Description: known.description, Country: known.country,
		Date: "20081201", Registry: "/v1/asn/registry/ripencc", Status: "/v1/asn/status/assigned",
		Prefixes: fmt.Sprintf("/v1/asn/%d/prefixes", n), Score: 0, Risk: "LOW",
	})
}

func answerNotFound(what string) Answer {
	return answerError(http.StatusNotFound, "Resource not found",
		fmt.Sprintf("'%s' not found. Check the value for a typo or incorrect value.", what), "error-resource-not-found")
}

// answerError is the error body of the real one's documentation, in which the
// last key is "type:", with the colon.
func answerError(status int, title, detail, page string) Answer {
	return answerJSON(status, struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Type   string `json:"type:"`
	}{title, detail, "https://threatjammer.com/docs/" + page})
}

// answerMalformed is FastAPI's body for a parameter that is not of its type.
func answerMalformed(parameter, msg, kind string) Answer {
	type problem struct {
		Loc  []string `json:"loc"`
		Msg  string   `json:"msg"`
		Type string   `json:"type"`
	}
	return answerJSON(http.StatusUnprocessableEntity, map[string][]problem{"detail": {{[]string{"path", parameter}, msg, kind}}})
}

func answerJSON(status int, v any) Answer {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // as Python writes it; and a test's "<" arrives as one
	if err := enc.Encode(v); err != nil {
		return Answer{Status: http.StatusInternalServerError, Body: err.Error()}
	}
	return Answer{Status: status, Header: contentType("application/json"), Body: buf.String()}
}
