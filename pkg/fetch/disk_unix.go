//go:build unix

package fetch

import (
	"errors"
	"syscall"
)

// DiskFull tells whether err is that of a disk, or of the user's share of one, that is full.
func DiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
