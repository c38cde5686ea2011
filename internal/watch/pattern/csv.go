package pattern

import "strings"

// splitCSV returns the values of a line. Snort escapes with a backslash inside
// quotes, which CSV does not, and leaves blanks around values: Snort 2 after
// its timestamp, Snort 3 after each comma. A line whose quotes do not fit is
// none.
func splitCSV(line string, snort bool) (values []string, ok bool) {
	for n := 0; n < maxColumns+1; n++ {
		if snort {
			line = strings.TrimLeft(line, " ")
		}
		if !strings.HasPrefix(line, `"`) {
			value, rest, more := strings.Cut(line, ",")
			if snort {
				value = strings.TrimRight(value, " ")
			}
			values = append(values, value)
			if !more {
				return values, true
			}
			line = rest
			continue
		}
		value, rest, ok := unquote(line, snort)
		if !ok {
			return nil, false
		}
		values = append(values, value)
		if snort {
			rest = strings.TrimLeft(rest, " ")
		}
		if rest == "" {
			return values, true
		}
		if rest[0] != ',' {
			return nil, false
		}
		line = rest[1:]
	}
	return nil, false
}

// unquote reads what stands in quotes at the start of a line.
func unquote(line string, snort bool) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case snort && c == '\\':
			if i++; i == len(line) {
				return "", "", false
			}
			b.WriteByte(line[i])
		case !snort && c == '"' && strings.HasPrefix(line[i+1:], `"`):
			i++
			b.WriteByte('"')
		case c == '"':
			return b.String(), line[i+1:], true
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
