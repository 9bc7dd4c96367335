package dynamotest

import (
	"context"
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// run starts the server on a thread that lives as long as it does, because the kernel kills the
// child when that thread ends. No server therefore outlives its tests, even if they are killed.
func (s *server) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := s.java.Start()
	started <- err
	if err == nil {
		_ = s.java.Wait() // killed: the result means nothing
	}
	close(s.done)
}

type dialer func(ctx context.Context, address string) (net.Conn, error)

type call struct {
	ctx     context.Context
	address string
	answer  chan<- answer
}

type answer struct {
	conn net.Conn
	err  error
}

// enter returns a dialer whose connections start inside the network namespace of a process. A
// socket stays in the namespace where it was created, so one thread lives inside and creates
// them.
func enter(pid int) (dialer, error) {
	calls := make(chan call)
	entered := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
		if err := join(pid); err != nil {
			entered <- err
			return
		}
		entered <- nil
		for c := range calls {
			conn, err := (&net.Dialer{}).DialContext(c.ctx, "tcp4", c.address)
			c.answer <- answer{conn, err}
		}
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	return func(ctx context.Context, address string) (net.Conn, error) {
		got := make(chan answer, 1)
		select {
		case calls <- call{ctx, address, got}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		a := <-got
		return a.conn, a.err
	}, nil
}

// join moves this thread into the namespace and brings its loopback up.
func join(pid int) error {
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the network namespace: %w", err)
	}
	defer func() { _ = unix.Close(ns) }()
	if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	return nil
}
