package inference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// instancesOf tells whether a request is {"instances": [...]}: then it is one request for each of them.
func instancesOf(req *model.Request) ([]*model.Request, bool, error) {
	if len(req.Inputs) != 1 || !strings.EqualFold(req.Inputs[0].ContentType, "application/json") {
		return nil, false, nil
	}
	text := bytes.TrimSpace(req.Inputs[0].Data)
	if !bytes.HasPrefix(text, []byte("{")) || !bytes.Contains(text, []byte(`"instances"`)) {
		return nil, false, nil
	}
	var envelope struct {
		Instances *[]json.RawMessage `json:"instances"`
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return nil, false, fmt.Errorf("%w: JSON body: %w", fault.Invalid, err)
	}
	if envelope.Instances == nil {
		return nil, false, nil
	}
	all := *envelope.Instances
	if len(all) == 0 || len(all) > maxParts {
		return nil, false, fmt.Errorf("%w: %d instances, want from 1 to %d", fault.Invalid, len(all), maxParts)
	}
	requests := make([]*model.Request, len(all))
	for i, instance := range all {
		this := *req
		this.ID = fmt.Sprintf("%s-%d", req.ID, i)
		this.Inputs = []model.Input{{Name: "body", ContentType: "application/json", Data: unwrapped(instance)}}
		requests[i] = &this
	}
	return requests, true, nil
}

// unwrapped returns what an instance holds: {"data": ...} and {"image": ...} stand for their value.
func unwrapped(instance json.RawMessage) []byte {
	var object map[string]json.RawMessage
	if json.Unmarshal(instance, &object) == nil && len(object) == 1 {
		for _, name := range []string{"data", "image", "image_bytes", "body"} {
			if inner, ok := object[name]; ok {
				return inner
			}
		}
	}
	return instance
}

// askAll asks about several instances at once, so that they can be one batch, and answers them in their order. One that
// cannot be used fails the call, and is named.
func (a *routes) askAll(w http.ResponseWriter, r *http.Request, ref model.Ref, requests []*model.Request) error {
	answers, failures := make([]*model.Response, len(requests)), make([]error, len(requests))
	var group sync.WaitGroup
	for i, req := range requests {
		group.Go(func() { answers[i], failures[i] = a.models.Predict(r.Context(), ref, req) })
	}
	group.Wait()
	for i, err := range failures {
		if err != nil {
			return refused(fmt.Errorf("instance %d: %w", i, err), ref)
		}
	}
	key := "predictions"
	if requests[0].Mode == model.ModeExplain {
		key = "explanations"
	}
	list := make([]json.RawMessage, len(answers))
	for i, answer := range answers {
		if !json.Valid(answer.Body) {
			return fmt.Errorf("%w: instance %d is answered with %s, which is no part of a JSON list; ask for it alone", fault.Unsupported, i, answer.ContentType)
		}
		list[i] = answer.Body
	}
	return writeList(w, key, list)
}

// writeList writes {key: [...]} in the layout of the answers themselves.
func writeList(w http.ResponseWriter, key string, list []json.RawMessage) error {
	text, err := json.MarshalIndent(map[string][]json.RawMessage{key: list}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the answers: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(text) // a caller that has gone needs no answer
	return nil
}
