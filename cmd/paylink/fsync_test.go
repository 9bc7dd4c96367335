package main_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/store/dynamotest"
)

// noSync makes the test binary put itself under a filter in which every fsync
// fails as on a broken disk, and then become the command that it is given.
const noSync = "PAYLINK_TEST_NO_SYNC"

func TestMain(m *testing.M) {
	if os.Getenv(noSync) != "" {
		fmt.Fprintln(os.Stderr, becomeWithoutSync(os.Args[1:]))
		os.Exit(70)
	}
	os.Exit(dynamotest.Main(m))
}

// becomeWithoutSync returns only with an error.
func becomeWithoutSync(args []string) error {
	const (
		setNoNewPrivs = 38 // PR_SET_NO_NEW_PRIVS
		setSeccomp    = 22 // PR_SET_SECCOMP
		modeFilter    = 2
		loadNumber    = syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS // of the call, at 0
		ifEqual       = syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K
		answer        = syscall.BPF_RET | syscall.BPF_K
		allow         = 0x7fff0000
		fail          = 0x00050000 | uint32(syscall.EIO)
	)
	filter := []syscall.SockFilter{
		{Code: loadNumber},
		{Code: ifEqual, K: syscall.SYS_FSYNC, Jt: 2},
		{Code: ifEqual, K: syscall.SYS_FDATASYNC, Jt: 1},
		{Code: answer, K: allow},
		{Code: answer, K: fail},
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the filter is the thread's, and goes with it through the exec
	if _, _, err := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0); err != 0 {
		return err
	}
	if _, _, err := syscall.RawSyscall6(syscall.SYS_PRCTL, setSeccomp, modeFilter, uintptr(unsafe.Pointer(&program)), 0, 0, 0); err != 0 {
		return err
	}
	return syscall.Exec(args[0], args, os.Environ())
}

// TestF21FailedFsync runs the server on a disk that takes writes and fails every
// fsync: nothing is acknowledged, the answer says why, the log has it; and on a
// sound disk everything that was acknowledged before is there.
func TestF21FailedFsync(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada")
	paidBefore, l := key.link(`"amount":"7"`), key.link(`"amount":"8"`)
	key.payJSON(paidBefore, "attempt-0000000001", "4242424242424242")
	id := onePayment(key, paidBefore, "succeeded")
	p.stop()

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(p.url, "http://")
	broken := &process{t: t, url: p.url, data: p.data, logs: &shared{}, done: make(chan struct{})}
	broken.cmd = exec.Command(self, paylinkBinary(t), "serve", "--data", p.data, "--listen", address, "--public-url", p.url, "--log-level", "debug") //nolint:noctx // it is killed below
	broken.cmd.Env = append(environ(t), noSync+"=1")
	broken.cmd.Stdout, broken.cmd.Stderr = broken.logs, broken.logs
	if err := broken.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { broken.err = broken.cmd.Wait(); close(broken.done) }()
	t.Cleanup(func() { _ = broken.cmd.Process.Kill(); <-broken.done })
	eventually(t, "the server on the broken disk listens", func() bool {
		select {
		case <-broken.done:
			t.Fatalf("it ended: %v\n%s", broken.err, broken.logs)
		default:
		}
		status, _ := broken.get(t, "/healthz")
		return status == http.StatusOK
	})
	for range 3 {
		created := key.do("POST", "/api/payment", `{"amount":"9","currency":"EUR","reference":"on-a-broken-disk"}`)
		if created.status != http.StatusServiceUnavailable || created.json["code"] != "store_unavailable" {
			t.Errorf("a link on a disk that fails: %d %s", created.status, created.body)
		}
	}
	if paid := key.payJSON(l, "attempt-0000000001", "4242424242424242"); paid.status != http.StatusServiceUnavailable {
		t.Errorf("a payment on a disk that fails: %d %s", paid.status, paid.body)
	}
	if book, err := simulator.OpenBook(filepath.Join(p.data, "simulator.book")); err != nil || len(book) != 1 {
		t.Errorf("the issuer was asked before the attempt was on the disk: %v %v", book, err)
	}
	if !strings.Contains(broken.logs.String(), "disk I/O error") {
		t.Errorf("the log does not name the disk:\n%s", broken.logs)
	}
	if err := broken.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-broken.done

	serveOn(t, p.data, address)
	if again := onePayment(key, paidBefore, "succeeded"); again != id {
		t.Errorf("payment %s became %s", id, again)
	}
	if a := key.payJSON(l, "attempt-0000000001", "4242424242424242"); a.status != http.StatusOK {
		t.Errorf("on a sound disk: %d %s", a.status, a.body)
	}
	onePayment(key, l, "succeeded")
	verified(t, p.data)
}
