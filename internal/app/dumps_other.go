//go:build !linux

package app

import "syscall"

// forbidDumps keeps the memory of this process, in which card numbers are for the time of a call, out
// of core dumps.
func forbidDumps() error { return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }
