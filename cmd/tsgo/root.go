package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
)

// globals are the flags that every command has.
type globals struct {
	output  string // table or json
	verbose bool
}

func newRoot(s streams) *cobra.Command {
	g := globals{}
	root := &cobra.Command{
		Use:   "tsgo",
		Short: "Serve ONNX models, and ask them",
		Long: `tsgo runs ONNX models: on the command line, and as a server that TorchServe's clients can talk to.

  tsgo predict resnet-18 kitten.jpg       what the model says of a picture
  tsgo explain resnet-18 kitten.jpg       which parts of the picture that answer rests on
  tsgo models list                        the models there are
  tsgo serve                              all of that over HTTP, as TorchServe does

With --server the same commands ask a running server.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
		RunE:              group,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w%s; see '%s --help'", fault.Invalid, badValue(err), meant(cmd, err), cmd.CommandPath())
	})
	root.PersistentFlags().StringVarP(&g.output, "output", "o", "", "table or json (default: table on a terminal, json for a pipe)")
	root.PersistentFlags().BoolVarP(&g.verbose, "verbose", "v", false, "say what is done, on the standard error stream")
	root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{outputTable, outputJSON}, cobra.ShellCompDirectiveNoFileComp)) //nolint:errcheck // the flag is there, two lines above
	root.AddCommand(
		newServe(s, &g), newPredict(s, &g), newExplain(s, &g), newRegister(s, &g), newModels(s, &g), newMetrics(s, &g), newBench(s, &g),
		newPing(s, &g), newConfig(s, &g), newVersion(s, &g),
	)
	root.SetHelpCommand(newHelp(s))
	fitHelp(root, s.helpWidth())
	listTopics(root)
	return root
}

// meant says which flag a wrong one was probably meant to be.
func meant(cmd *cobra.Command, err error) string {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) || len(missing.GetSpecifiedName()) < 2 { // of one letter, any other could be meant
		return ""
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
	return nearest.Hint("--"+missing.GetSpecifiedName(), known)
}

// group is what a command does that is only there for its subcommands.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var known []string
	for _, sub := range cmd.Commands() {
		known = append(known, sub.Name())
	}
	return fmt.Errorf("%w: unknown command %q%s; see '%s --help'", fault.Invalid, args[0], nearest.Hint(args[0], known), cmd.CommandPath())
}

// badValue says what a flag wants, where it has got something else.
func badValue(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	want, ok := map[string]string{
		"int": "a whole number", "float64": "a number", "duration": "a time such as 500ms, 1.5s or 2m", "bool": "true or false",
	}[bad.GetFlag().Value.Type()]
	if !ok {
		return err
	}
	return fmt.Errorf("--%s %q, want %s", bad.GetFlag().Name, bad.GetValue(), want)
}

// usage says how a command is used, where check refuses its arguments.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		given := fmt.Sprintf("%d arguments are given", len(args))
		switch len(args) {
		case 0:
			given = "no argument is given"
		case 1:
			given = fmt.Sprintf("one argument is given, %q", args[0])
		}
		return fmt.Errorf("%w: %s; usage: %s", fault.Invalid, given, cmd.UseLine())
	}
}
