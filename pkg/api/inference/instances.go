package inference

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// instancesKey is the member that makes a JSON object several questions at once.
const instancesKey = "instances"

// readInstances returns the inputs of each instance of a body, and whether it has instances at all: whether it is a JSON
// object with that member. Anything else is for the handler to read.
func readInstances(in model.Input) (items [][]model.Input, ok bool, err error) {
	text := bytes.TrimLeft(in.Data, " \t\r\n")
	if in.Name != body || in.ContentType != "" && in.ContentType != typeJSON ||
		len(text) == 0 || text[0] != '{' || !bytes.Contains(text, []byte(`"`+instancesKey+`"`)) {
		return nil, false, nil
	}
	elements := members(text)[instancesKey]
	if elements == nil {
		return nil, false, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(elements, &list); err != nil || len(list) == 0 {
		return nil, false, fmt.Errorf("%w: %s: want a list with at least one element", fault.Invalid, instancesKey)
	}
	if len(list) > api.MaxFields {
		return nil, false, fmt.Errorf("%w: %s has %d elements, at most %d are taken", fault.TooLarge, instancesKey, len(list), api.MaxFields)
	}
	for i, element := range list {
		item, err := readInstance(element)
		if err != nil {
			return nil, false, fmt.Errorf("instance %d: %w", i, err)
		}
		items = append(items, item)
	}
	return items, true, nil
}

// readInstance returns the inputs of one instance: of an object those that it names, of anything else, a file in base64
// included, a single one.
func readInstance(text json.RawMessage) ([]model.Input, error) {
	if text[0] != '{' {
		in, err := readValue(body, text)
		return []model.Input{in}, err
	}
	if in, ok, err := readFile(body, text); ok || err != nil {
		return []model.Input{in}, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	var inputs []model.Input
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
		}
		in, err := readValue(fmt.Sprint(key), value)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

// readValue returns a JSON value as an input: a string is its text, {"b64": "..."} the bytes of a file, and everything
// else stays JSON.
func readValue(name string, value json.RawMessage) (model.Input, error) {
	switch value[0] {
	case '{':
		if in, ok, err := readFile(name, value); ok || err != nil {
			return in, err
		}
	case '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return model.Input{}, fmt.Errorf("%w: %w", fault.Invalid, err)
		}
		return model.Input{Name: name, ContentType: "text/plain", Data: []byte(text)}, nil
	}
	return model.Input{Name: name, ContentType: typeJSON, Data: value}, nil
}

// readFile reads {"b64": "..."}, and tells whether value is that.
func readFile(name string, value json.RawMessage) (in model.Input, ok bool, err error) {
	all := members(value)
	if len(all) != 1 || all["b64"] == nil {
		return model.Input{}, false, nil
	}
	var data []byte
	if err := json.Unmarshal(all["b64"], &data); err != nil {
		return model.Input{}, false, fmt.Errorf("%w: b64: want a file in base64: %w", fault.Invalid, err)
	}
	return model.Input{Name: name, Data: data}, true, nil
}

// members returns the members of a JSON object; nil for what is none.
func members(text []byte) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil
	}
	return all
}

// together is how many instances of one call are asked at once: enough for full batches, and few enough that one call
// does not fill a queue.
const together = 32

// held is how much memory the answers to one call may take together, in answers of MaxAnswer bytes: until all are there,
// each is kept as text and as tensors, of which the joined answer may have but a part.
const held = 16

// askAll asks all instances, and returns the answers in their order. One that fails fails the call.
func (a Asker) askAll(ctx context.Context, q *requests) ([]*model.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make([]*model.Response, len(q.reqs))
	failures := make([]error, len(q.reqs))
	next := make(chan int)
	var size atomic.Int64
	var workers sync.WaitGroup
	for range min(together, len(q.reqs)) {
		workers.Go(func() {
			for i := range next {
				if answers[i], failures[i] = predict(ctx, a.Models, q.ref, q.reqs[i]); failures[i] == nil {
					failures[i] = a.holds(size.Add(sizeOf(answers[i])))
				}
				if failures[i] != nil {
					cancel()
				}
			}
		})
	}
	for i := range q.reqs {
		if ctx.Err() != nil {
			failures[i] = ctx.Err()
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	if err := q.first(failures); err != nil {
		return nil, err
	}
	return answers, nil
}

// holds returns [fault.TooLarge] where the answers to one call take more than they may.
func (a Asker) holds(size int64) error {
	if a.MaxAnswer > 0 && size/held > a.MaxAnswer {
		return fmt.Errorf("%w: the answers to this and the others take more memory than %d of %d bytes, the most that one may have; ask about fewer at once",
			fault.TooLarge, held, a.MaxAnswer)
	}
	return nil
}

// sizeOf returns about how many bytes of memory an answer takes.
func sizeOf(resp *model.Response) int64 {
	size := len(resp.Body)
	for _, t := range resp.Tensors {
		size += t.Len() * t.DType().Bytes()
	}
	return int64(size)
}

// first returns the failure of the first instance that failed by itself, or else of the first that was stopped.
func (q *requests) first(failures []error) error {
	var stopped error
	for i, err := range failures {
		switch {
		case err == nil:
		case fault.Of(err) != fault.Canceled:
			return q.at(i, err)
		case stopped == nil:
			stopped = err
		}
	}
	return stopped
}

// predict asks the model. A panic is this request's failure, as it would be in the goroutine of the request.
func predict(ctx context.Context, models model.Predictor, ref model.Ref, req *model.Request) (resp *model.Response, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			resp, err = nil, fmt.Errorf("panic: %v: %w\n%s", cause, fault.Internal, debug.Stack())
		}
	}()
	return models.Predict(ctx, ref, req)
}

// join makes one answer of several, in the layout that each has alone. An answer that is not JSON is a file in base64.
// A header is kept where all have the same.
func (q *requests) join(answers []*model.Response) *model.Response {
	key := "predictions"
	if q.reqs[0].Mode == model.ModeExplain {
		key = "explanations"
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\n  %q: [", key)
	for i, a := range answers {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n    ")
		if contentType, _ := mediaType(a.ContentType); contentType == typeJSON {
			out.Write(bytes.ReplaceAll(a.Body, []byte("\n"), []byte("\n    "))) // no string in JSON has a line's end
		} else {
			fmt.Fprintf(&out, "{\n      \"b64\": %q\n    }", base64.StdEncoding.EncodeToString(a.Body))
		}
	}
	out.WriteString("\n  ]\n}")
	return &model.Response{ContentType: typeJSON, Body: out.Bytes(), Header: Common(answers)}
}

// Common returns the headers that all answers, of which there is one at least, have alike.
func Common(answers []*model.Response) map[string]string {
	same := map[string]string{}
	for name, value := range answers[0].Header {
		same[name] = value
		for _, a := range answers[1:] {
			if other, ok := a.Header[name]; !ok || other != value {
				delete(same, name)
			}
		}
	}
	return same
}
