package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/heatmap"
	"github.com/tsgo/tsgo/pkg/model"
)

// checkCompare finds out before the model is loaded what stands against a comparison.
func (o *explainOptions) checkCompare() error {
	if o.compare == nil {
		return nil
	}
	for i, method := range o.compare {
		if method == "" {
			return fmt.Errorf("%w: --compare names no method (known: %s)", fault.Invalid, strings.Join(explain.Methods(), ", "))
		}
		if _, err := explain.ParseParams(map[string]string{"method": method}); err != nil {
			return fmt.Errorf("--compare: %w", err)
		}
		if slices.Contains(o.compare[:i], method) {
			return fmt.Errorf("%w: --compare names %s twice", fault.Invalid, method)
		}
	}
	switch {
	case o.params["method"] != "":
		return fmt.Errorf("%w: --compare names the methods itself: leave --method out", fault.Invalid)
	case o.params["format"] != "" && o.params["format"] != explain.FormatJSON:
		return fmt.Errorf("%w: --compare has no --format %s: take --save maps.png for a picture of all", fault.Invalid, o.params["format"])
	case o.params["detail"] == explain.DetailPlain:
		return fmt.Errorf("%w: --compare tells everything of each method: leave --detail out", fault.Invalid)
	case len(o.files) > 1:
		return fmt.Errorf("%w: --compare takes one file, there are %d", fault.Invalid, len(o.files))
	}
	for _, p := range explain.Table() {
		if o.params[p.Name] != "" && !slices.ContainsFunc(o.compare, func(method string) bool { return o.means(p, method) }) {
			return fmt.Errorf("%w: %s means nothing to %s: it belongs to %s", fault.Invalid, p.Name, strings.Join(o.compare, ", "), strings.Join(p.Methods, ", "))
		}
	}
	return nil
}

// means tells whether a parameter means something to a method, or to the one that it smooths.
func (o *explainOptions) means(p explain.Parameter, method string) bool {
	if p.Methods == nil || slices.Contains(p.Methods, method) {
		return true
	}
	table := explain.Table()
	of := slices.IndexFunc(table, func(p explain.Parameter) bool { return p.Name == "of" })
	return of >= 0 && slices.Contains(table[of].Methods, method) && slices.Contains(p.Methods, o.params["of"])
}

// paramsOf returns the parameters for one of the methods: those that mean something to it.
func (o *explainOptions) paramsOf(method string) map[string]string {
	params := map[string]string{}
	for name, value := range o.params {
		params[name] = value
	}
	for _, p := range explain.Table() {
		if !o.means(p, method) {
			delete(params, p.Name)
		}
	}
	params["method"] = method
	return params
}

// sideBySide asks each method about one file, and shows the answers beside each other.
func (o *explainOptions) sideBySide(ctx context.Context, p *asked, format string) error {
	req, err := o.request(ctx, o.files[0])
	if err != nil {
		return err
	}
	all, bodies := make([]*explained, len(o.compare)), make([]json.RawMessage, len(o.compare))
	for i, method := range o.compare {
		if bodies[i], all[i], err = o.explained(ctx, p, req, o.paramsOf(method)); err != nil {
			return err
		}
	}
	if o.save != "" {
		if err := o.saveSideBySide(all, req); err != nil {
			return fmt.Errorf("%s: %w", o.files[0], err)
		}
	}
	if format == outputJSON {
		return writeJSON(o.out, bodies)
	}
	return o.showSideBySide(all, req)
}

func (o *explainOptions) saveSideBySide(all []*explained, req *model.Request) error {
	var panels []heatmap.Panel
	for _, x := range all {
		painted, err := x.overlay(req.Inputs[0].Data)
		if err != nil {
			return err
		}
		panels = append(panels, heatmap.Panel{Picture: painted, Caption: []string{x.Method, x.target(), x.delta()}})
	}
	picture, err := heatmap.SideBySide(panels, 0)
	if err != nil {
		return err
	}
	return o.write(picture)
}

// delta says in a few words how far the attributions are from complete.
func (x *explained) delta() string {
	if x.Convergence == nil {
		return "claims no sum"
	}
	return fmt.Sprintf("delta %.3g (%s)", x.Convergence.Delta, share(x.Convergence.Relative))
}

// share writes a part of a whole for people, without more digits than mean something.
func share(part float32) string {
	if percent := 100 * float64(part); percent < 10 {
		return fmt.Sprintf("%.2g %%", percent)
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part))
}

func (o *explainOptions) showSideBySide(all []*explained, req *model.Request) error {
	lines := [][2]string{{"target", all[0].target()}, {"score", all[0].score()}}
	for _, x := range all {
		for _, warning := range x.Warnings {
			lines = append(lines, [2]string{"warning", x.Method + ": " + warning})
		}
	}
	if err := o.lines(lines); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(o.out); err != nil {
		return err //nolint:wrapcheck // of the standard output
	}
	opts := heatmap.TerminalOptions{TrueColour: trueColour(o.streams)}
	if all[0].text() {
		weights := make([]heatmap.Weights, len(all))
		for i, x := range all {
			weights[i] = heatmap.Weights{Title: x.Method, Values: x.Importances}
		}
		return heatmap.Words(o.out, all[0].Words, weights, opts)
	}
	panels := make([]heatmap.Panel, len(all))
	for i, x := range all {
		m, err := x.heat()
		if err != nil {
			return fmt.Errorf("%s: %w", o.files[0], err)
		}
		panels[i] = heatmap.Panel{Map: m, Caption: []string{x.Method, x.delta(), x.took()}}
		if painted, err := x.overlay(req.Inputs[0].Data); err == nil {
			panels[i].Picture = painted
		}
	}
	return heatmap.TerminalSideBySide(o.out, panels, opts)
}

// completeMethods completes the last of several methods with commas between them.
func completeMethods(_ *cobra.Command, _ []string, given string) ([]string, cobra.ShellCompDirective) {
	before := given[:strings.LastIndexByte(given, ',')+1]
	var all []string
	for _, method := range explain.Methods() {
		if !slices.Contains(strings.Split(before, ","), method) {
			all = append(all, before+method)
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
