package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/paylink/paylink/internal/gateway"
	"github.com/paylink/paylink/internal/obs"
)

// Serve runs the process until ctx ends; then it stops taking requests, lets
// those under way finish within DrainTimeout, and closes the stores. Out is for
// the person who started it, logs for the machine.
func Serve(ctx context.Context, cfg Config, out, logs io.Writer) (err error) {
	if wrong := cfg.Check(); len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	level, err := cfg.level()
	if err != nil {
		return err
	}
	log := obs.NewLogger(logs, level)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	admin, err := lc.Listen(ctx, "tcp", cfg.AdminListen)
	if err != nil {
		return errors.Join(fmt.Errorf("--admin-listen: %w", err), public.Close())
	}
	if cfg.PublicURL == "" {
		cfg.PublicURL = "http://" + public.Addr().String()
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	s, err := open(ctx, cfg, log)
	if err != nil {
		return errors.Join(err, public.Close(), admin.Close())
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if cfg.Demo {
		if err := s.demo(ctx, out); err != nil {
			return errors.Join(err, public.Close(), admin.Close())
		}
	}
	log.Info("serving", "listen", public.Addr().String(), "public_url", cfg.PublicURL, "metrics", "http://"+admin.Addr().String()+"/metrics")
	return s.run(ctx, public, admin)
}

// run starts everything and stops it in order: the listeners first, so that the
// last request still finds the boxes at work, then the background.
func (s *services) run(ctx context.Context, public, admin net.Listener) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	group, failed := errgroup.WithContext(background)
	for name, run := range s.background() {
		group.Go(func() error {
			s.keepRunning(failed, name, run)
			return nil
		})
	}
	servers := []*http.Server{server(s.handler, s.log), server(s.adminHandler(), s.log)}
	for i, l := range []net.Listener{public, admin} {
		group.Go(func() error {
			if err := servers[i].Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
			s.log.Info("stopping: finishing what is under way")
		case <-failed.Done():
		}
		close(s.drain)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), DrainTimeout)
		defer cancel()
		var errs []error
		for _, srv := range servers {
			errs = append(errs, srv.Shutdown(drain))
		}
		stopBackground()
		return errors.Join(errs...)
	})
	err := group.Wait()
	s.log.Info("stopped")
	return err
}

// keepRunning starts a background job again when it fails: each resumes from what
// is stored, and a payment must not be refused because a webhook could not be
// queued.
func (s *services) keepRunning(ctx context.Context, name string, run func(context.Context) error) {
	for ctx.Err() == nil {
		err := run(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.log.Error("a background job failed; it starts again", "job", name, "error", err)
		pause := time.NewTimer(restartPause)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

func server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: gateway.ReadHeaderTimeout, ReadTimeout: gateway.ReadTimeout,
		IdleTimeout: gateway.IdleTimeout, MaxHeaderBytes: gateway.MaxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
}

func (s *services) adminHandler() http.Handler {
	mux := http.NewServeMux()
	gateway.Health(mux, s.store.Ping)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.Registry(), promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	return mux
}
