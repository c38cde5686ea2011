package channel

import (
	"encoding"
	"reflect"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// schemaOf returns the JSON Schema of a Payload. Programs must take fields that
// they do not know, and so does it.
func schemaOf() map[string]any {
	s := typeSchema(reflect.TypeFor[Payload]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "What sshnotify tells a program"
	s["properties"].(map[string]any)["version"] = map[string]any{"const": PayloadVersion}
	return s
}

func typeSchema(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[event.Severity]():
		return map[string]any{"enum": []any{"low", "medium", "high", "critical"}}
	case t == reflect.TypeFor[event.Kind]():
		return map[string]any{"enum": []any{event.KindLogin, event.KindLogout, event.KindAttack, event.KindMatch, event.KindAlert, event.KindDigest, event.KindWitness, event.KindAttempt}}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()), t.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": typeSchema(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": typeSchema(t.Elem())}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Struct:
		properties, required := map[string]any{}, []string{}
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			properties[name] = typeSchema(f.Type)
			if !strings.Contains(options, "omit") {
				required = append(required, name)
			}
		}
		return map[string]any{"type": "object", "properties": properties, "required": required}
	}
	return map[string]any{"type": "integer"}
}
