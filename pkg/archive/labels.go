package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLabels is how many classes may have a name.
const maxLabels = 1 << 20

// parseLabels reads labels by the kind of their file: .json is an index_to_name.json, anything else a list of lines.
func parseLabels(name string, data []byte) ([]string, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	read := labelLines
	if strings.EqualFold(path.Ext(name), ".json") {
		read = labelMap
	}
	labels, err := read(data)
	if err != nil {
		return nil, err
	}
	if len(labels) == 0 {
		return nil, errors.New("it holds no label")
	}
	for i, label := range labels {
		if label == "" {
			labels[i] = strconv.Itoa(i)
		}
		if err := checkLabel(label); err != nil {
			return nil, fmt.Errorf("the label of class %d: %w", i, err)
		}
	}
	return labels, nil
}

// labelLines reads one label a line, in the order of the classes. Space around a label does not belong to it.
func labelLines(data []byte) ([]string, error) {
	text := strings.TrimRightFunc(string(data), unicode.IsSpace)
	if text == "" {
		return nil, nil
	}
	if strings.Count(text, "\n") >= maxLabels {
		return nil, fmt.Errorf("it holds more than %d labels", maxLabels)
	}
	labels := strings.Split(text, "\n")
	for i, label := range labels {
		labels[i] = strings.TrimSpace(label)
	}
	return labels, nil
}

// labelMap reads an index_to_name.json: {"0": "name"}, {"0": ["id", "name"]} of which the last counts, or
// {"object_type_names": ["a", "b"]}.
func labelMap(data []byte) ([]string, error) {
	var all map[string]json.RawMessage
	if err := parseJSON(data, &all); err != nil {
		return nil, err
	}
	if names, ok := all["object_type_names"]; ok {
		var labels []string
		if err := json.Unmarshal(names, &labels); err != nil || len(labels) > maxLabels {
			return nil, fmt.Errorf("object_type_names: want a list of at most %d strings", maxLabels)
		}
		return labels, nil
	}
	byIndex := make(map[int]string, len(all))
	count := 0
	for key, raw := range all {
		index, err := strconv.Atoi(key)
		if err != nil || index < 0 || index >= maxLabels {
			return nil, fmt.Errorf("key %.40q: want the index of a class, from 0 to %d", key, maxLabels-1)
		}
		if byIndex[index], err = labelText(raw); err != nil {
			return nil, fmt.Errorf("key %.40q: %w", key, err)
		}
		count = max(count, index+1)
	}
	labels := make([]string, count)
	for index, label := range byIndex {
		labels[index] = label
	}
	return labels, nil
}

func labelText(raw json.RawMessage) (string, error) {
	var one string
	var several []string
	switch {
	case string(raw) == "null":
	case json.Unmarshal(raw, &one) == nil:
		return one, nil
	case json.Unmarshal(raw, &several) == nil && len(several) > 0:
		return several[len(several)-1], nil
	}
	return "", errors.New("want a string, or a list of strings")
}

// checkLabel refuses what would play tricks on a terminal.
func checkLabel(label string) error {
	if !utf8.ValidString(label) {
		return errors.New("it is not UTF-8")
	}
	if i := strings.IndexFunc(label, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }); i >= 0 {
		return fmt.Errorf("it holds a control character (%q)", label[i:i+1])
	}
	return nil
}
