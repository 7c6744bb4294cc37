package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/pipeline"
)

type packOptions struct {
	*globals
	streams

	selection archive.Selection
	write     archive.WriteOptions
	format    string
	modelFile string
}

func newModelsPack(s streams, g *globals) *cobra.Command {
	o := packOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "pack [DIR|FILE.onnx]",
		Short: "Make a .mar of a model, with the flags of torch-model-archiver",
		Long: `Make one file of a model: of a directory with its network, model-config.yaml and labels, or of an .onnx file. Tensors that the
network keeps in files of their own come along. Hidden files, and models that are packed already, are left out.

Names, version and handler are those of model-config.yaml, where no flag says otherwise. The flags are torch-model-archiver's,
so its command lines work here, as long as the network is in ONNX and the handler is built in. What only Python can run is
refused, with what to do instead.

The same files make the same archive, byte for byte. All in it has the time of $SOURCE_DATE_EPOCH, in seconds, or is of 1980.`,
		Example: `  tsgo models pack ./resnet-18
  tsgo models pack ./net.onnx --model-name net --version 2.0 --handler image_classifier --extra-files index_to_name.json
  torch-model-archiver --model-name net --version 1.0 --serialized-file net.onnx --handler image_classifier --export-path store
  tsgo models pack     --model-name net --version 1.0 --serialized-file net.onnx --handler image_classifier --export-path store`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection.Source = strings.Join(args, "")
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *packOptions) flags(cmd *cobra.Command) {
	f, s := cmd.Flags(), &o.selection
	f.StringVar(&s.Name, "model-name", "", "the model's name, and the archive's (default: the model's own, or that of its directory or file)")
	f.StringVarP(&s.Version, "version", "v", "", "the model's version (default: its own, or 1.0)")
	f.StringVar(&s.Network, "serialized-file", "", "the network, an .onnx file (default: the only one in DIR)")
	f.StringVar(&s.Handler, "handler", "", "a built-in handler: "+strings.Join(handlerNames(), ", "))
	f.StringSliceVar(&s.Extra, "extra-files", nil, "more files, with commas between them; of a directory its contents; * ? and [] stand for any")
	f.StringVarP(&s.Config, "config-file", "c", "", "a model-config.yaml (default: that in DIR)")
	f.StringVar(&o.write.Dir, "export-path", "", "where the archive goes (default: the current directory)")
	f.StringVar(&o.format, "archive-format", "default", strings.Join(archive.Packings(), ", ")+": a .mar, a .mar that is not compressed, a .tar.gz, a directory")
	f.BoolVarP(&o.write.Force, "force", "f", false, "replace an archive of this name, or a directory that is a packed model")
	f.StringVar(&s.Runtime, "runtime", "", "python, python3 or LSP: stands in the archive for TorchServe, and means nothing here")
	f.StringVarP(&s.Requirements, "requirements-file", "r", "", "is packed for TorchServe; tsgo runs no Python and installs nothing")
	f.StringVar(&o.modelFile, "model-file", "", "refused: the Python class of an eager model")
	f.BoolVar(&o.verbose, "verbose", false, "say what is done, on the standard error stream")                                        // -v is the version here, as for torch-model-archiver
	cmd.RegisterFlagCompletionFunc("handler", cobra.FixedCompletions(handlerNames(), cobra.ShellCompDirectiveNoFileComp))            //nolint:errcheck // the flag is there
	cmd.RegisterFlagCompletionFunc("archive-format", cobra.FixedCompletions(archive.Packings(), cobra.ShellCompDirectiveNoFileComp)) //nolint:errcheck // the flag is there
}

// handlerNames returns the built-in handlers, sorted.
func handlerNames() []string { return slices.Sorted(maps.Keys(builtin.Handlers())) }

// packedModel is a model as models pack tells it.
type packedModel struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Handler string   `json:"handler"`
	Network string   `json:"network"`
	Files   []string `json:"files"`
	LeftOut []string `json:"leftOut,omitempty"`
	Size    int64    `json:"size"` // bytes of all files
	Path    string   `json:"path"`
}

func (o *packOptions) run(ctx context.Context) error {
	format, err := o.globals.format(o.streams)
	if err != nil {
		return err
	}
	parcel, err := o.collect()
	if err != nil {
		return err
	}
	path, err := parcel.Write(ctx, o.write)
	if err != nil {
		return err
	}
	m := parcel.Manifest
	told := packedModel{m.Name, m.Version, handlerOf(m), m.SerializedFile, parcel.Names(), parcel.LeftOut, parcel.Size, path}
	if format == outputJSON {
		return writeJSON(o.out, told)
	}
	rows := [][]string{{"name", told.Name}, {"version", told.Version}, {"handler", told.Handler}, {"network", told.Network}}
	rows = append(rows, labelled("files", told.Files)...)
	rows = append(rows, labelled("left out", told.LeftOut)...)
	rows = append(rows, []string{"size", size(told.Size)}, []string{"path", told.Path})
	return writeRows(o.out, rows)
}

func (o *packOptions) collect() (*archive.Parcel, error) {
	var err error
	if o.write.Packing, err = archive.ParsePacking(o.format); err != nil {
		return nil, fmt.Errorf("--archive-format: %w", err)
	}
	if o.modelFile != "" {
		return nil, fmt.Errorf("%w: --model-file %s: a Python class does not run here: export the model with torch.onnx.export and pack the .onnx; see 'tsgo help archives'",
			fault.Unsupported, o.modelFile)
	}
	if seconds := o.env("SOURCE_DATE_EPOCH"); seconds != "" {
		at, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: SOURCE_DATE_EPOCH %q, want seconds since 1970", fault.Invalid, seconds)
		}
		o.selection.Created = time.Unix(at, 0)
	}
	if o.selection.Handler != "" { // what the user has typed is told before what the model holds
		if err := pipeline.CheckHandler(o.selection.Handler, builtin.Handlers()); err != nil {
			return nil, err
		}
	}
	o.selection.Archiver = buildVersion()
	parcel, err := archive.Collect(o.selection)
	if err != nil {
		return nil, err
	}
	return parcel, pipeline.CheckHandler(cmp.Or(parcel.Manifest.Handler, pipeline.GuessedHandler), builtin.Handlers())
}
