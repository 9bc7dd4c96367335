package app

import (
	"errors"

	"golang.org/x/sys/unix"
)

// forbidDumps keeps the memory of this process, in which card numbers are for the time of a call, out
// of core dumps and from processes of the same user (prctl(2), PR_SET_DUMPABLE). The limit is for
// tools that look at it; a system call filter may refuse to set it.
func forbidDumps() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}
