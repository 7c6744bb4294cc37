package archive

import (
	"fmt"
	"os"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Inspect reads what the model at path says of itself, for listings: it unpacks nothing, writes nothing, and looks at no
// weights. It refuses what [Open] refuses, as far as that can be seen from outside. A .mar costs its table of contents;
// a .tar.gz has none and is read through.
func Inspect(path string) (Info, error) {
	form, size, err := look(path)
	if err != nil {
		return Info{}, err
	}
	info := Info{Source: path, Form: form, Size: size}
	switch form {
	case FormONNX:
		info.Manifest = bareManifest(path)
	case FormDirectory:
		err = info.readDirectory()
	case FormMAR, FormTar:
		err = info.readPacked()
	}
	if err != nil {
		return Info{}, err
	}
	return info, nil
}

func (i *Info) readDirectory() error {
	root, err := os.OpenRoot(i.Source)
	if err != nil {
		return fmt.Errorf("%w: open %s: %w", fault.BadModel, i.Source, err)
	}
	defer func() { _ = root.Close() }()
	files, _, err := readDirectory(root, i.Source)
	if err != nil {
		return err
	}
	i.Size = files.size()
	i.Manifest, err = files.manifest(i.Source)
	return err
}

func (i *Info) readPacked() error {
	packed, err := openPacked(i.Source, i.Form, i.Size, Limits{})
	if err != nil {
		return err
	}
	defer packed.close()
	files, err := packed.list()
	if err != nil {
		return err
	}
	i.Manifest, err = files.manifest(i.Source)
	return err
}
