package pattern

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// format is how a decoder's lines are read, and which fields of an alert say
// what.
type format struct {
	name    string
	json    bool     // any path may be a field
	program string   // whose alerts they are; "": there are none
	snort3  bool     // fields are made of others, see snort3Split
	layouts []string // of CSV: a line is read by the one with as many columns as it has
	usual   []string // of JSON: the fields that a match hands on unasked
	stamps  []string // forms of timestamp

	msg, gid, sid, rev, class, level, action string
	src, srcPort, dst, dstPort               string
}

const (
	pfSenseColumns = "timestamp,sig_generator,sig_id,sig_rev,msg,proto,src,srcport,dst,dstport,id,classification,priority"
	suricata       = "Suricata"
	snort          = "Snort"
)

// formats must stay constant to the compiler: it is not built at start.
//
// https://www.snort.org/document/readme-csv
// https://docs.snort.org/start/alert_logging.html
var formats = [...]format{
	{name: "json", json: true},
	{name: "csv"},
	{
		name: "snort", program: snort, stamps: []string{"01/02/06-15:04:05"},
		// Snort 2 writes the first where it is asked for "default". It asks itself
		// for tcpln, which its writer calls tcplen, so that this column is there and
		// always empty. pfSense has a shorter list, and since 2018 a longer one.
		layouts: []string{
			"timestamp,sig_generator,sig_id,sig_rev,msg,proto,src,srcport,dst,dstport,ethsrc,ethdst,ethlen," +
				"tcpflags,tcpseq,tcpack,tcpln,tcpwindow,ttl,tos,id,dgmlen,iplen,icmptype,icmpcode,icmpid,icmpseq",
			pfSenseColumns, pfSenseColumns + ",action,disposition",
		},
		msg: "msg", gid: "sig_generator", sid: "sig_id", rev: "sig_rev", class: "classification", level: "priority", action: "action",
		src: "src", srcPort: "srcport", dst: "dst", dstPort: "dstport",
	},
	{
		name: "snort3-csv", program: snort, snort3: true,
		stamps:  []string{"2006-01-02 15:04:05", "06/01/02-15:04:05", "01/02/06-15:04:05"},
		layouts: []string{"timestamp,pkt_num,proto,pkt_gen,pkt_len,dir,src_ap,dst_ap,rule,action"},
		msg:     "msg", gid: "gid", sid: "sid", rev: "rev", class: "class", level: "priority", action: "action",
		src: "src_addr", srcPort: "src_port", dst: "dst_addr", dstPort: "dst_port",
	},
	{
		name: "snort3-json", json: true, program: snort, snort3: true,
		stamps: []string{"2006-01-02 15:04:05", "06/01/02-15:04:05", "01/02/06-15:04:05"},
		usual:  []string{"src_addr", "src_port", "dst_addr", "dst_port", "gid", "sid", "rev", "msg", "proto", "class", "priority", "action"},
		msg:    "msg", gid: "gid", sid: "sid", rev: "rev", class: "class", level: "priority", action: "action",
		src: "src_addr", srcPort: "src_port", dst: "dst_addr", dstPort: "dst_port",
	},
	{
		name: "suricata", json: true, program: suricata, stamps: []string{"2006-01-02T15:04:05.999999999Z0700", time.RFC3339Nano},
		usual: []string{"src_ip", "src_port", "dest_ip", "dest_port", "proto", "alert.signature", "alert.signature_id", "alert.category",
			"alert.severity", "alert.action", "flow_id", "in_iface"},
		msg: "alert.signature", gid: "alert.gid", sid: "alert.signature_id", rev: "alert.rev",
		class: "alert.category", level: "alert.severity", action: "alert.action",
		src: "src_ip", srcPort: "src_port", dst: "dest_ip", dstPort: "dest_port",
	},
}

// snort3Split are the fields that others are made of: src_ap is an address and
// a port, rule is gid:sid:rev.
const snort3Split = "src_addr,src_port,dst_addr,dst_port,gid,sid,rev"

// decoder makes a record of a line.
type decoder struct {
	*format
	layouts [][]string
	known   []string // the names of the fields, as far as they can be known

	// Of the line that the engine is taking.
	read bool
	rec  *record
}

// record decodes a line, once for all patterns.
func (d *decoder) record(text string) *record {
	if !d.read {
		d.read, d.rec = true, d.decode(text)
	}
	return d.rec
}

const maxColumns = 100

func newDecoder(name string, columns []string) (*decoder, string, error) {
	if name == "" && len(columns) == 0 {
		return nil, "", nil
	}
	i := slices.IndexFunc(formats[:], func(f format) bool { return f.name == name })
	switch {
	case i < 0 && name != "":
		return nil, "decoder", fmt.Errorf("unknown decoder %q; there are json, csv, snort, snort3-csv, snort3-json and suricata", name)
	case len(columns) > 0 && (i < 0 || formats[i].json):
		return nil, "columns", errors.New("only csv, snort and snort3-csv have columns")
	case name == "csv" && len(columns) == 0:
		return nil, "columns", errors.New("csv needs the names of its columns")
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
	d := &decoder{format: &formats[i]}
	if len(columns) > 0 {
		d.layouts = [][]string{slices.Clone(columns)}
	} else {
		for _, l := range d.format.layouts {
			d.layouts = append(d.layouts, strings.Split(l, ","))
		}
	}
	names := slices.Concat(d.layouts...)
	if d.snort3 && !d.json {
		names = append(names, strings.Split(snort3Split, ",")...)
	}
	for _, c := range names {
		if !slices.Contains(d.known, c) {
			d.known = append(d.known, c)
		}
	}
	return d, "", nil
}

// same reports whether two decoders give the same records.
func (d *decoder) same(o *decoder) bool {
	return d.format == o.format && slices.EqualFunc(d.layouts, o.layouts, slices.Equal)
}

// alerts reports whether records are alerts of an intrusion detection system.
func (d *decoder) alerts() bool { return d != nil && d.program != "" }

// decode returns the record of a line; nil: it is none.
func (d *decoder) decode(text string) *record {
	if d.json {
		part, ok := d.jsonPart(text)
		if !ok {
			return nil
		}
		r := &record{json: part}
		if d.snort3 {
			r.splitSnort3()
		}
		return r
	}
	values, ok := splitCSV(text, d.alerts())
	if !ok {
		return nil
	}
	i := slices.IndexFunc(d.layouts, func(l []string) bool { return len(l) == len(values) })
	if i < 0 {
		return nil
	}
	r := &record{values: make(map[string]string, len(values)+strings.Count(snort3Split, ",")+1)}
	for at, name := range d.layouts[i] {
		r.values[name] = values[at]
	}
	if d.name == "snort" && !r.looksLikeSnort() {
		return nil
	}
	if d.snort3 {
		r.splitSnort3()
	}
	return r
}
