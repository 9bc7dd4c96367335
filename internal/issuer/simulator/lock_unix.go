//go:build unix

package simulator

import (
	"os"
	"syscall"
)

// lock keeps a second simulator out of the book. The kernel releases it when the file is closed
// or the process dies.
func lock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
