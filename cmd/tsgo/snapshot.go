package main

import (
	"path/filepath"

	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/snapshot"
)

// settings are what is said of a server, and where.
type settings struct {
	*config.Config

	file     *config.File // nil: none was read
	snapshot bool         // the file is a snapshot that was looked for: nobody named it
	damaged  []string     // newer ones that could not be used, and why, a line each
}

// readSettings reads what the sources, and the file that counts among them, say of a server: the file that TorchServe's
// variable names, or the flag; or else, where snapshots are written, the newest one that can be used; or else the file that
// lies here. As [config.Read], it returns what could be read together with an error.
func readSettings(s streams, from config.Sources, flag string) (settings, error) {
	file, named, err := configFile(s, flag)
	if err != nil {
		return settings{}, err
	}
	read := func(file *config.File) (*config.Config, error) {
		from.File, from.Base = file, nil
		if file != nil && file.Base() != "" {
			from.Base, _ = config.Load(file.Base()) // where it has gone, so have its passwords
		}
		return config.Read(from)
	}
	c, err := read(file)
	found := settings{Config: c, file: file}
	if named || !c.Snapshots {
		return found, err
	}
	paths, missing := snapshot.Newest(snapshotDir(s))
	if missing != nil {
		found.damaged = append(found.damaged, missing.Error())
	}
	for _, path := range paths {
		kept, wrong := config.Load(path)
		if wrong == nil {
			now, err := read(kept)
			if wrong = now.Damaged(); wrong == nil {
				return settings{now, kept, true, found.damaged}, err
			}
		}
		found.damaged = append(found.damaged, "snapshot "+path+" cannot be restored, an older one is looked for: "+oneLine(wrong))
	}
	return found, err
}

// snapshotDir returns the directory of snapshots: TorchServe's.
func snapshotDir(s streams) string { return filepath.Join(logDir(s), "config") }

// logDir returns the directory that TorchServe writes its logs to.
func logDir(s streams) string {
	if dir := s.env("LOG_LOCATION"); dir != "" {
		return dir
	}
	return "logs"
}
