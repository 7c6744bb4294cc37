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
		return fmt.Errorf("%w: %w%s; see '%s --help'", fault.Invalid, err, meant(cmd, err), cmd.CommandPath())
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

// usage turns cobra's complaint about arguments into a fault.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return fmt.Errorf("%w: %w; usage: %s", fault.Invalid, err, cmd.UseLine())
		}
		return nil
	}
}
