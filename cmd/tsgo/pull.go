package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/catalogue"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/fetch"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/store"
)

type modelsPullOptions struct {
	*globals
	streams
	local

	what    string // a name of the catalogue or a URL
	list    bool
	name    string
	version string
	handler string
	sha256  string
	file    string
	maxSize string
	force   bool

	entries []catalogue.Entry
	client  *http.Client // nil: fetch's own
}

func newModelsPull(s streams, g *globals) *cobra.Command {
	o := modelsPullOptions{globals: g, streams: s, entries: catalogue.All()}
	cmd := &cobra.Command{
		Use:   "pull [NAME|URL]",
		Short: "Bring a model into the store: one of the catalogue by its name, or any by its URL",
		Long: `Bring a model into the store: one of the catalogue by its name, or any by its URL. Without either, list the catalogue.

A model of the catalogue comes with its labels, with what its network wants of a picture, and with a sha256 that the network
has to have. A URL is one of https:// and leads to an .onnx, a .mar, a .zip, a .tar.gz or a .tgz. Of an .onnx a model's
directory is made; without --handler its preprocessing is guessed as that of any .onnx, and its model-config.yaml is where to
say better.

Models go to --model-store or $TSGO_MODEL_STORE, or else to the user's data directory, where every command looks. Nothing is
seen of a model before all of it is there and checked. After an interruption the same command goes on where it was: until then,
what has come of NAME is in the hidden directory .NAME.pull of the store. Where there is no network, bring the file by other
means and name it with --file; it is checked as any other.

The environment's proxy (HTTPS_PROXY, NO_PROXY) is used, and on Linux the authorities of SSL_CERT_FILE are trusted.`,
		Example: `  tsgo models pull
  tsgo models pull mobilenet-v2
  tsgo models pull https://example.com/net.onnx --sha256 4e8f... --name net --handler image_classifier
  tsgo models pull resnet-50 --file /media/stick/resnet50-v1-7.onnx`,
		Args: usage(cobra.MaximumNArgs(1)),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return catalogue.Names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.list || len(args) == 0 {
				return o.show()
			}
			o.what = args[0]
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.modelStore, "model-store", "", "directory to put it into (default: $TSGO_MODEL_STORE, the user's data directory)")
	f.BoolVar(&o.list, "list", false, "list the catalogue")
	f.StringVar(&o.sha256, "sha256", "", "hash that the file must have, in hex")
	f.StringVar(&o.name, "name", "", "name of the model (default: the catalogue's, or the .onnx file's; an archive says its own)")
	f.StringVar(&o.version, "version", "", "version of the model (default: 1.0; an archive says its own)")
	f.StringVar(&o.handler, "handler", "", "handler of an .onnx (default: guessed when it is asked)")
	f.StringVar(&o.file, "file", "", "take the file from this path, and fetch nothing")
	f.StringVar(&o.maxSize, "max-size", "16GiB", "most that a file from a URL may have, as 500MB or 2GiB")
	f.BoolVar(&o.force, "force", false, "fetch again what was pulled before, and replace it unless it was changed since")
	return cmd
}

// canPull says how a model of the catalogue is had; "" for any other.
func canPull(name, version string) string {
	e, ok := catalogue.Find(name)
	if !ok || version != "" && version != e.Version {
		return ""
	}
	return fmt.Sprintf("run 'tsgo models pull %s' (%s)", e.Name, size(e.Size))
}

// offered is a model of the catalogue as models pull lists it.
type offered struct {
	catalogue.Entry

	Path string `json:"path,omitempty"` // where it is in the store
}

// show lists the catalogue.
func (o *modelsPullOptions) show() error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	here, _ := o.local.list(o.streams) // what is broken is for models list to say
	all := make([]offered, len(o.entries))
	rows := make([][]string, len(all))
	for i, e := range o.entries {
		all[i].Entry = e
		state := "-"
		if at := slices.IndexFunc(here, func(m store.Entry) bool { return m.Name() == e.Name }); at >= 0 {
			all[i].Path, state = here[at].Source, "in the store"
		}
		rows[i] = []string{e.Name, size(e.Size), e.Licence, state, e.About}
	}
	if format == outputJSON {
		return writeJSON(o.out, all)
	}
	return o.table([]string{"name", "size", "licence", "state", "about"}, rows, tw.AlignLeft, tw.AlignRight)
}

func (o *modelsPullOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	dir, err := o.pullDir(o.streams)
	if err != nil {
		return err
	}
	order, err := o.order()
	if err != nil {
		return err
	}
	bar := newProgress(o.streams, path.Base(o.label()), 0)
	bar.bytes = true
	order.Progress = bar.set
	p, already, err := store.Pull(ctx, dir, order)
	bar.done()
	if err != nil {
		return o.wayOut(ctx, dir, order, fmt.Errorf("pull %s: %w", o.label(), err))
	}
	o.tellHidden(p)
	if format == outputJSON {
		p.Files = nil
		return writeJSON(o.out, p)
	}
	is := "is at"
	if already {
		is = "was pulled before, and is at"
	}
	licence := ""
	if p.Licence != "" {
		licence = ", licence " + p.Licence
	}
	_, err = fmt.Fprintf(o.out, "%s/%s %s %s (%s%s)\n", p.Name, p.Version, is, p.Path, size(p.Size), licence)
	return err //nolint:wrapcheck // of the standard output
}

// label is what is pulled as it may be shown: a URL without its query.
func (o *modelsPullOptions) label() string {
	short, _, _ := strings.Cut(o.what, "?")
	if scheme, rest, ok := strings.Cut(short, "://"); ok {
		host, rest, _ := strings.Cut(rest, "/")
		return scheme + "://" + host[strings.LastIndexByte(host, '@')+1:] + "/" + rest
	}
	return short
}

// tellHidden says when another model of the name stands before a pulled one.
func (o *modelsPullOptions) tellHidden(p store.Pulled) {
	first, err := o.store(o.streams).Find(p.Name, p.Version)
	if err != nil {
		return
	}
	a, errA := filepath.Abs(first.Source)
	b, errB := filepath.Abs(p.Path)
	if errA == nil && errB == nil && a != b {
		fmt.Fprintf(o.err, "tsgo: note: %s answers to that name and comes first; pull with another --name to have both\n", first.Source) //nolint:errcheck // a note
	}
}

// order says what is to be pulled.
func (o *modelsPullOptions) order() (store.Order, error) {
	if strings.Contains(o.what, "://") {
		return o.orderURL()
	}
	i := slices.IndexFunc(o.entries, func(e catalogue.Entry) bool { return e.Name == o.what })
	if i < 0 {
		return store.Order{}, fmt.Errorf("%w: the catalogue has no %q%s; 'tsgo models pull' lists it, and a URL (https://...) brings any other",
			fault.NoModel, o.what, nearest.Hint(o.what, o.names()))
	}
	e := o.entries[i]
	switch {
	case o.sha256 != "" && !strings.EqualFold(o.sha256, e.SHA256):
		return store.Order{}, fmt.Errorf("%w: --sha256 %s, and the catalogue says %s of %s; pull another file by its URL", fault.Invalid, o.sha256, e.SHA256, e.Name)
	case o.handler != "":
		return store.Order{}, fmt.Errorf("%w: --handler is for an .onnx from a URL; a model of the catalogue has its own", fault.Invalid)
	}
	if o.name != "" {
		e.Name = o.name
	}
	if o.version != "" {
		e.Version = o.version
	}
	return store.Order{
		URLs: e.URLs, Local: o.file, SHA256: e.SHA256, Limit: e.Size, Licence: e.Licence,
		Name: e.Name, Version: e.Version, Force: o.force, Client: o.client,
		Beside: func(string) (map[string]string, error) { return e.Beside(), nil },
	}, nil
}

func (o *modelsPullOptions) names() []string {
	names := make([]string, len(o.entries))
	for i, e := range o.entries {
		names[i] = e.Name
	}
	return names
}

// orderURL is order for a URL.
func (o *modelsPullOptions) orderURL() (store.Order, error) {
	limit, err := parseSize(o.maxSize)
	if err != nil {
		return store.Order{}, fmt.Errorf("%w: --max-size %q, want a size as 500MB or 2GiB", fault.Invalid, o.maxSize)
	}
	file, form, err := store.FileName(o.what)
	if err != nil {
		return store.Order{}, err
	}
	order := store.Order{
		URLs: []string{o.what}, Local: o.file, SHA256: o.sha256, Limit: limit, Name: o.name, Version: o.version, Force: o.force, Client: o.client,
	}
	if form != archive.FormONNX {
		if o.handler != "" || o.name != "" || o.version != "" {
			return store.Order{}, fmt.Errorf("%w: %s is an archive, which says its name, version and handler itself; leave out --name, --version and --handler", fault.Invalid, file)
		}
		return order, nil
	}
	if order.Name == "" {
		order.Name = archive.NameOf(file)
	}
	if order.Version == "" {
		order.Version = archive.DefaultVersion
	}
	if o.handler != "" {
		if err := pipeline.CheckHandler(o.handler, builtin.Handlers()); err != nil {
			return store.Order{}, err
		}
	}
	order.Beside = func(network string) (map[string]string, error) {
		settings, err := networkSettings(network, o.handler)
		return map[string]string{"model-config.yaml": o.manifest(order, file, settings)}, err
	}
	return order, nil
}

// manifest returns the model-config.yaml of a network that came alone.
func (o *modelsPullOptions) manifest(order store.Order, file, settings string) string {
	first := "# Pulled from " + o.label() + ".\n"
	if o.handler == "" {
		first += "# The handler is guessed, with its settings. To be sure, name it (model: handler) and say them (handler).\n"
	}
	text := fmt.Sprintf("%smodel:\n  name: %q\n  version: %q\n  serializedFile: %q\n", first, order.Name, order.Version, file)
	if o.handler != "" {
		text += "  handler: " + o.handler + "\n"
	}
	return text + settings
}

// networkSettings returns the section of a manifest with what the network itself tells of a handler's settings. It refuses a file
// that is no network, as the page is that asks who one is, and one that is not all of it.
func networkSettings(network, handler string) (string, error) {
	g, file, err := onnx.Open(network)
	switch {
	case err == nil:
		return pictureSettings(g.Inputs, handler), file.Close()
	case errors.Is(err, fault.Unsupported):
		return "", nil // the runtime may know better
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: the network keeps weights in files of their own, which a URL of it alone does not bring (%w); pull an archive that holds all of it", fault.BadModel, err)
	}
	return "", fmt.Errorf("%w: what came is no ONNX network: %w", fault.BadModel, err)
}

// pictureSettings are those of an image classifier, which its handler asks for where the others look at the network.
func pictureSettings(inputs []onnx.Value, handler string) string {
	if handler != "image_classifier" || len(inputs) != 1 || len(inputs[0].Shape) != 4 {
		return ""
	}
	channels, height, width, layout := inputs[0].Shape[1].Size, inputs[0].Shape[2].Size, inputs[0].Shape[3].Size, "nchw"
	if colours := []int64{1, 3}; slices.Contains(colours, width) && !slices.Contains(colours, channels) {
		channels, height, width, layout = width, channels, height, "nhwc"
	}
	text := "handler: # mean, std and activation are not to be seen of a network: as ImageNet's and softmax, where nothing is said\n  layout: " + layout + "\n"
	if channels == 1 {
		text += "  colour: grey\n"
	}
	if height > 0 && width > 0 {
		text += fmt.Sprintf("  size: [%d, %d]\n", height, width)
	}
	return text
}

// wayOut adds to a failure what can be done about it.
func (o *modelsPullOptions) wayOut(ctx context.Context, dir string, order store.Order, err error) error {
	kept := store.Kept(dir, order)
	again := ""
	if kept > 0 {
		again = fmt.Sprintf("%s are kept, and the same command goes on from there", size(kept))
	}
	if ctx.Err() != nil {
		if again == "" {
			return err
		}
		return resumable{err, again}
	}
	if way := o.way(dir, order, err); way != "" {
		err = fmt.Errorf("%w; %s", err, way)
	}
	if again != "" {
		err = fmt.Errorf("%w; %s", err, again)
	}
	return err
}

// way returns what can be done about a failure.
func (o *modelsPullOptions) way(dir string, order store.Order, err error) string {
	byHand := func(why string) string {
		file, _, _ := store.FileName(order.URLs[0])
		return fmt.Sprintf("%s copy the file here and run: tsgo models pull %s --file %s", why, o.label(), file)
	}
	_, operation := errors.AsType[*net.OpError](err)
	_, name := errors.AsType[*net.DNSError](err)
	status, refused := errors.AsType[fetch.StatusError](err)
	_, sum := errors.AsType[fetch.SumError](err)
	_, limit := errors.AsType[fetch.LimitError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case fetch.DiskFull(err):
		return fmt.Sprintf("free some space in %s, or name another directory with --model-store", dir)
	case errors.Is(err, fs.ErrPermission) && !operation:
		return "name a directory that you may write to with --model-store"
	case sum, limit && !strings.Contains(o.what, "://"): // the catalogue knows the size
		return "nothing of it was kept; the file is not the one that was meant, or was damaged on the way"
	case limit:
		return "nothing of it was kept; --max-size allows more"
	case authority:
		return "to trust an authority of your own, name its certificate in SSL_CERT_FILE"
	case refused && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden):
		return byHand("where only you may have the file,")
	case refused:
		return byHand("check the address, or")
	case operation, name, errors.Is(err, fault.Timeout):
		return byHand("offline?")
	}
	return ""
}

// parseSize reads a number of bytes: 1500, 500MB, 2GiB.
func parseSize(text string) (int64, error) {
	at := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if at < 0 {
		at = len(text)
	}
	n, err := strconv.ParseFloat(text[:at], 64)
	unit, known := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
	}[strings.ToLower(strings.TrimSpace(text[at:]))]
	if n *= unit; err != nil || !known || n < 1 || n > math.MaxInt64/2 {
		return 0, fmt.Errorf("%w: size %q", fault.Invalid, text)
	}
	return int64(n), nil
}
