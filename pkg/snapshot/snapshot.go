// Package snapshot keeps files in a directory, each of which says what a server serves at one moment: how they are called,
// written, listed and taken away. It knows nothing of what is in them, but that a line that begins with # means nothing.
//
// They are called as TorchServe's are, after the local time: 20260102030405678-startup.cfg, -snapshot.cfg, -shutdown.cfg.
package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Kind is when a snapshot was made.
type Kind string

// The kinds of snapshots.
const (
	Startup  Kind = "startup"  // the server had started
	Change   Kind = "snapshot" // what it served had changed
	Shutdown Kind = "shutdown" // it stopped
)

// Newest returns the paths of the snapshots in a directory, whoever wrote them, the newest one first. What is called otherwise
// does not count. Where there is no such directory, there are none; one that cannot be read is [fault.Unavailable].
func Newest(dir string) ([]string, error) {
	names, err := list(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("look for snapshots: %w: %w", fault.Unavailable, err)
	}
	slices.Reverse(names)
	for i, name := range names {
		names[i] = filepath.Join(dir, name)
	}
	return names, nil
}

// list returns the names of the snapshots in a directory, the oldest one first.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if _, ok := stampOf(e.Name()); ok && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err //nolint:wrapcheck // the caller says what it was for
}

// fileName is how a snapshot is called.
var fileName = regexp.MustCompile(`^[0-9]{17}-[A-Za-z]+\.cfg$`)

const (
	stampLength = len("20260102030405678")
	beforeDot   = len("20260102030405")
	stampLayout = "20060102150405.000" // package time wants the dot
)

// stampOf returns the time in the name of a snapshot, and whether it is one. It is no instant: its zone is unknown.
func stampOf(name string) (wall time.Time, ok bool) {
	if !fileName.MatchString(name) {
		return wall, false
	}
	wall, err := time.Parse(stampLayout, name[:beforeDot]+"."+name[beforeDot:stampLength])
	return wall, err == nil
}

// nameAt returns the name of a snapshot that is made now. It comes after the last one in any case, also where the clock was
// set back: the greatest name is the newest snapshot.
func nameAt(now time.Time, kind Kind, last string) string {
	wall := time.Date(now.Year(), now.Month(), now.Day(), now.Hour(), now.Minute(), now.Second(), now.Nanosecond(), time.UTC)
	wall = wall.Truncate(time.Millisecond)
	if before, ok := stampOf(last); ok && !wall.After(before) {
		wall = before.Add(time.Millisecond)
	}
	return strings.Replace(wall.Format(stampLayout), ".", "", 1) + "-" + string(kind) + ".cfg"
}
