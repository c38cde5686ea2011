// Makes internal/report/world.path, the land of the world as one SVG path, and
// internal/report/places.txt, where on it each country is:
//
//	npm ci --ignore-scripts && npm run make
//
// The data are Natural Earth's, which are in the public domain, as the package
// world-atlas has them. Only land is drawn: outlines of countries take sides in
// disputes about borders.
//
// d3-geo draws the path, because world-atlas has undone the cut at 180 degrees:
// whoever projects its points by hand draws stripes across the map. The projection
// is the plain one, so that a place is at x = (lon+180)/360*1000, y = (90-lat)/180*500.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { geoArea, geoCentroid, geoEquirectangular, geoPath } from "d3-geo";
import { feature } from "topojson-client";
import countries from "i18n-iso-countries";

const out = process.argv[2];
const require = createRequire(import.meta.url);
const atlas = (name) => JSON.parse(readFileSync(require.resolve(`world-atlas/${name}.json`)));

const projection = geoEquirectangular().scale(1000 / (2 * Math.PI)).translate([500, 250]).precision(0.1);
const land = atlas("land-110m");
const drawn = geoPath(projection)(feature(land, land.objects.land));

// Whole numbers and relative moves are half as long. A point that falls on the one
// before is left out, and a ring that is left with fewer than three.
let path = "";
for (const ring of drawn.split("M").slice(1)) {
  const points = ring.replace(/Z$/, "").split("L").map((p) => p.split(",").map(Math.round));
  const kept = points.filter((p, i) => i === 0 || p[0] !== points[i - 1][0] || p[1] !== points[i - 1][1]);
  if (kept.length < 3) continue;
  let [x, y] = kept[0];
  path += `M${x} ${y}l`;
  path += kept.slice(1).map(([nx, ny]) => {
    const step = `${nx - x} ${ny - y}`;
    [x, y] = [nx, ny];
    return step;
  }).join(" ").replaceAll(" -", "-");
  path += "z";
}
writeFileSync(`${out}/world.path`, path + "\n");

// A country is where the middle of its largest part is: that of all of France would
// lie in the sea.
const world = atlas("countries-50m");
const places = {};
for (const f of feature(world, world.objects.countries).features) {
  const code = f.properties.name === "Kosovo" ? "XK" : countries.numericToAlpha2(f.id);
  if (!code || places[code]) continue;
  const parts = f.geometry.type === "Polygon" ? [f.geometry.coordinates] : f.geometry.coordinates;
  const largest = parts.map((coordinates) => ({ type: "Polygon", coordinates })).sort((a, b) => geoArea(b) - geoArea(a))[0];
  const [lon, lat] = geoCentroid(largest);
  places[code] = `${lat.toFixed(1)} ${lon.toFixed(1)}`;
}
writeFileSync(`${out}/places.txt`, Object.keys(places).sort().map((c) => `${c} ${places[c]}\n`).join(""));
console.log(`${path.length} bytes of path, ${Object.keys(places).length} countries`);
