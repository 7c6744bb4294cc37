package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tsgo/tsgo/pkg/explain"
)

// flagGroup are flags that stand together in the help.
type flagGroup struct {
	title   string
	methods []string
	flags   *pflag.FlagSet
}

// usage writes the flags of explain in groups: its own, the parameters of every method, and those of some methods.
func (o *explainOptions) usage(cmd *cobra.Command) error {
	var out strings.Builder
	fmt.Fprintf(&out, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
	for _, g := range flagGroups(cmd) {
		fmt.Fprintf(&out, "\n%s:\n%s", g.title, g.flags.FlagUsagesWrapped(o.helpWidth()))
	}
	_, err := fmt.Fprint(cmd.OutOrStderr(), out.String())
	return err //nolint:wrapcheck // of the standard output
}

// flagGroups returns the flags in the order in which the help shows them.
func flagGroups(cmd *cobra.Command) []flagGroup {
	own := flagGroup{title: "Flags", flags: pflag.NewFlagSet("", pflag.ContinueOnError)}
	all := flagGroup{title: "Parameters of every method", flags: pflag.NewFlagSet("", pflag.ContinueOnError)}
	all.flags.SortFlags = false
	var some []flagGroup
	parameters := map[string]bool{}
	for _, p := range explain.Table() {
		parameters[flagName(p)] = true
		flag := cmd.Flags().Lookup(flagName(p))
		if p.Methods == nil {
			all.flags.AddFlag(flag)
			continue
		}
		i := slices.IndexFunc(some, func(g flagGroup) bool { return slices.Equal(g.methods, p.Methods) })
		if i < 0 {
			i = len(some)
			some = append(some, flagGroup{titleOf(p.Methods), p.Methods, pflag.NewFlagSet("", pflag.ContinueOnError)})
		}
		some[i].flags.AddFlag(flag)
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !parameters[f.Name] {
			own.flags.AddFlag(f)
		}
	})
	groups := slices.Concat([]flagGroup{own, all}, some)
	return append(groups, flagGroup{title: "Global Flags", flags: cmd.InheritedFlags()})
}

// titleOf names the methods of a group, or the others where those are fewer.
func titleOf(methods []string) string {
	others := slices.DeleteFunc(explain.Methods(), func(method string) bool { return slices.Contains(methods, method) })
	if len(others) < len(methods) {
		return "Parameters of every method but " + strings.Join(others, ", ")
	}
	return "Parameters of " + strings.Join(methods, ", ")
}

// helpOf describes a parameter, without the methods that it belongs to: the help has a group for those.
func helpOf(p explain.Parameter) string {
	text := strings.TrimPrefix(p.Help, strings.Join(p.Methods, ", ")+": ")
	if len(p.Choices) > 1 {
		text += ": " + strings.Join(p.Choices, ", ")
	}
	if p.Default != "" {
		text += " (default: " + p.Default + ")"
	}
	return text
}
