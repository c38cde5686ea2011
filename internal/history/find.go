package history

import "context"

// maxFound bounds what is looked at of a prefix that too many have.
const maxFound = "1000"

// Find returns logins whose id begins with a prefix, at most so many, the newest
// first of the first thousand. The prefix is in the form of ids: upper case.
func (d *DB) Find(ctx context.Context, prefix string, most int) ([]Entry, error) {
	// No id has a character above the last letter.
	page, err := d.page(ctx, `l.n IN (SELECT n FROM (SELECT n FROM login WHERE id >= ? AND id < ? LIMIT `+maxFound+`)
		UNION SELECT login FROM (SELECT login FROM alias WHERE id >= ? AND id < ? LIMIT `+maxFound+`))`,
		[]any{prefix, prefix + "~", prefix, prefix + "~"}, most)
	var found []Entry
	for _, s := range page {
		found = append(found, s.Entry)
	}
	return found, err
}
