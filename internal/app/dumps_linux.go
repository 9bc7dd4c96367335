package app

import (
	"golang.org/x/sys/unix"
)

// forbidDumps keeps the memory of this process, in which card numbers are for the time of a call, out
// of core dumps and from processes of the same user (prctl(2), PR_SET_DUMPABLE).
func forbidDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
