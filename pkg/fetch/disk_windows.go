package fetch

import (
	"errors"

	"golang.org/x/sys/windows"
)

// DiskFull tells whether err is that of a disk, or of the user's share of one, that is full.
func DiskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
