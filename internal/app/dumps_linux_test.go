package app

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestForbidDumps(t *testing.T) {
	before, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(before), 0, 0, 0) })
	if err := forbidDumps(); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err == nil {
		err = unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	}
	if err != nil || dumpable != 0 || limit.Cur != 0 || limit.Max != 0 {
		t.Errorf("dumpable %d, limit %+v, %v", dumpable, limit, err)
	}
}
