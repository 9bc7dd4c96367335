package crash

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

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/store/dynamotest"
)

// noSync makes the test binary install a filter in which every fsync fails as on a broken disk,
// and then exec the given command.
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

// TestF21FailedFsync runs the server on a disk that accepts writes and fails every fsync: nothing
// is acknowledged, and the answer and the log say why. On a sound disk everything acknowledged
// before is there.
func TestF21FailedFsync(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	paidBefore, l := key.Link(`"amount":"7"`), key.Link(`"amount":"8"`)
	key.PayJSON(paidBefore, "attempt-0000000001", "4242424242424242")
	id := harness.OnePayment(key, paidBefore, "succeeded")
	p.Stop()

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(p.URL, "http://")
	cmd := exec.Command(
		self,
		harness.Binary(t),
		"serve",
		"--data",
		p.Data,
		"--listen",
		address,
		"--public-url",
		p.URL,
		"--log-level",
		"debug",
	) // it is killed below
	cmd.Env = append(harness.Environ(t), noSync+"=1")
	broken := harness.Launch(t, cmd, p.URL, p.Data)
	await.Until(t, "the server on the broken disk listens", func() bool {
		select {
		case <-broken.Done:
			t.Fatalf("it ended: %v\n%s", broken.Err, broken.Logs)
		default:
		}
		status, _ := broken.Get(t, "/healthz")
		return status == http.StatusOK
	})
	for range 3 {
		created := key.Do("POST", "/api/payment", `{"amount":"9","currency":"EUR","reference":"on-a-broken-disk"}`)
		if created.Status != http.StatusServiceUnavailable || created.JSON["code"] != "store_unavailable" {
			t.Errorf("a link on a disk that fails: %d %s", created.Status, created.Body)
		}
	}
	if paid := key.PayJSON(l, "attempt-0000000001", "4242424242424242"); paid.Status != http.StatusServiceUnavailable {
		t.Errorf("a payment on a disk that fails: %d %s", paid.Status, paid.Body)
	}
	if book, err := simulator.OpenBook(filepath.Join(p.Data, "simulator.book")); err != nil || len(book) != 1 {
		t.Errorf("the issuer was asked before the attempt was on the disk: %v %v", book, err)
	}
	if !strings.Contains(broken.Logs.String(), "disk I/O error") {
		t.Errorf("the log does not name the disk:\n%s", broken.Logs)
	}
	broken.Kill()

	harness.StartOn(t, p.Data, address)
	if again := harness.OnePayment(key, paidBefore, "succeeded"); again != id {
		t.Errorf("payment %s became %s", id, again)
	}
	if a := key.PayJSON(l, "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Errorf("on a sound disk: %d %s", a.Status, a.Body)
	}
	harness.OnePayment(key, l, "succeeded")
	harness.Verified(t, p.Data)
}
