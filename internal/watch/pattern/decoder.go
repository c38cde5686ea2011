package pattern

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The decoders' names in the settings.
const (
	decoderJSON       = "json"
	decoderCSV        = "csv"
	decoderSnort      = "snort"
	decoderSnort3CSV  = "snort3-csv"
	decoderSnort3JSON = "snort3-json"
	decoderSuricata   = "suricata"
)

// decoder makes a record of a line.
type decoder struct {
	name    string
	layouts [][]string // of CSV: a line is read by the one with as many columns as it has
}

// Snort 2 writes these where it is asked for "default". It asks itself for
// tcpln, which its writer calls tcplen, so that this column is there and always
// empty.
//
// https://www.snort.org/document/readme-csv
var snortColumns = strings.Split("timestamp,sig_generator,sig_id,sig_rev,msg,proto,src,srcport,dst,dstport,ethsrc,ethdst,ethlen,"+
	"tcpflags,tcpseq,tcpack,tcpln,tcpwindow,ttl,tos,id,dgmlen,iplen,icmptype,icmpcode,icmpid,icmpseq", ",")

// pfSense has a shorter list, and since 2018 a longer one.
var (
	pfSenseColumns    = strings.Split("timestamp,sig_generator,sig_id,sig_rev,msg,proto,src,srcport,dst,dstport,id,classification,priority", ",")
	pfSenseNewColumns = append(slices.Clone(pfSenseColumns), "action", "disposition")
)

// https://docs.snort.org/start/alert_logging.html
var snort3Columns = strings.Split("timestamp,pkt_num,proto,pkt_gen,pkt_len,dir,src_ap,dst_ap,rule,action", ",")

// snort3Split are the fields that others are made of: src_ap is an address and
// a port, rule is gid:sid:rev.
var snort3Split = []string{"src_addr", "src_port", "dst_addr", "dst_port", "gid", "sid", "rev"}

const maxColumns = 100

func newDecoder(name string, columns []string) (*decoder, string, error) {
	d := &decoder{name: name}
	switch name {
	case "":
		d = nil
	case decoderCSV:
		if len(columns) == 0 {
			return nil, "columns", errors.New("csv needs the names of its columns")
		}
	case decoderSnort:
		d.layouts = [][]string{snortColumns, pfSenseColumns, pfSenseNewColumns}
	case decoderSnort3CSV:
		d.layouts = [][]string{snort3Columns}
	case decoderJSON, decoderSnort3JSON, decoderSuricata:
	default:
		return nil, "decoder", fmt.Errorf("unknown decoder %q; there are json, csv, snort, snort3-csv, snort3-json and suricata", name)
	}
	if len(columns) == 0 {
		return d, "", nil
	}
	if d == nil || d.json() {
		return nil, "columns", errors.New("only csv, snort and snort3-csv have columns")
	}
	if len(columns) > maxColumns {
		return nil, "columns", fmt.Errorf("%d of them, at most %d are taken", len(columns), maxColumns)
	}
	for i, c := range columns {
		if !validName(c) {
			return nil, "columns", fmt.Errorf("%q is no name: letters, digits and @ _ : / - . are taken", c)
		}
		if slices.Contains(columns[:i], c) {
			return nil, "columns", fmt.Errorf("%q is there twice", c)
		}
	}
	d.layouts = [][]string{slices.Clone(columns)}
	return d, "", nil
}

// same reports whether two decoders give the same records.
func (d *decoder) same(o *decoder) bool {
	return d.name == o.name && slices.EqualFunc(d.layouts, o.layouts, slices.Equal)
}

// json reports whether any path may be a field.
func (d *decoder) json() bool {
	return d.name == decoderJSON || d.name == decoderSnort3JSON || d.name == decoderSuricata
}

func (d *decoder) snort3() bool { return d.name == decoderSnort3CSV || d.name == decoderSnort3JSON }

// alerts reports whether records are alerts of an intrusion detection system.
func (d *decoder) alerts() bool {
	return d.name == decoderSnort || d.name == decoderSuricata || d.snort3()
}

// known returns the names of the fields, as far as they can be known.
func (d *decoder) known() []string {
	var all []string
	for _, l := range d.layouts {
		for _, c := range l {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	if d.name == decoderSnort3CSV {
		for _, c := range snort3Split {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

// decode returns the record of a line; nil: it is none.
func (d *decoder) decode(text string) *record {
	if d.json() {
		part, ok := d.jsonPart(text)
		if !ok {
			return nil
		}
		r := &record{json: part}
		if d.snort3() {
			r.splitSnort3()
		}
		return r
	}
	values, ok := splitCSV(text, d.name != decoderCSV)
	if !ok {
		return nil
	}
	i := slices.IndexFunc(d.layouts, func(l []string) bool { return len(l) == len(values) })
	if i < 0 {
		return nil
	}
	r := &record{values: make(map[string]string, len(values)+len(snort3Split))}
	for at, name := range d.layouts[i] {
		r.values[name] = values[at]
	}
	if d.name == decoderSnort && !r.looksLikeSnort() {
		return nil
	}
	if d.snort3() {
		r.splitSnort3()
	}
	return r
}
