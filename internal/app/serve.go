package app

import (
	"context"
	"errors"
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
	"github.com/paylink/paylink/internal/gateway/connection"
	"github.com/paylink/paylink/internal/obs"
	"github.com/paylink/paylink/internal/site"
)

// Serve runs the process until ctx ends. It then stops accepting requests, lets running ones finish
// within DrainTimeout, and closes the stores. It writes to out for the person who started it, and
// to the log for machines. It returns nil after a clean stop. A configuration with problems is
// returned as one error, a line for each, before anything is opened.
func Serve(ctx context.Context, cfg Config, out, logs io.Writer) (err error) {
	if wrong := cfg.Check(); len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	if err := cfg.writeData(); err != nil {
		return err
	}

	level, err := cfg.level()
	if err != nil {
		return err
	}

	log := obs.NewLogger(logs, level)
	if !cfg.AllowDumps {
		if err := forbidDumps(); err != nil {
			log.Warn("core dumps cannot be turned off", "error", err)
		}
	}
	for _, warning := range cfg.Warnings() {
		log.Warn(warning)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}

	on, err := cfg.listen(ctx)
	if err != nil {
		return err
	}
	// Without a public URL, links lead to the address of the listener, which is known only now.
	public, err := cfg.publicSite()
	if err != nil {
		return errors.Join(err, on.close())
	}
	if cfg.PublicURL == "" && on.public != nil {
		public = site.Listener(on.public.Addr().String())
	}
	cfg.PublicURL = public.String()

	s, err := open(ctx, cfg, public, log)
	if err != nil {
		return errors.Join(err, on.close())
	}
	defer func() { err = errors.Join(err, s.close()) }()

	if cfg.Demo {
		if err := s.demo(ctx, out); err != nil {
			return errors.Join(err, on.close())
		}
	}

	about := []any{
		"targets",
		strings.Join(cfg.Targets, ","),
		"public_url",
		cfg.PublicURL,
		"metrics",
		"http://" + on.admin.Addr().String() + "/metrics",
	}
	if on.public != nil {
		about = append(about, "listen", on.public.Addr().String())
	}
	if on.internal != nil {
		about = append(about, "internal_listen", on.internal.Addr().String())
	}
	log.Info("serving", about...)
	return s.run(ctx, on)
}

// listeners of a process: the gateway's public one, the internal one of a split process's other
// services, and the admin one. One that the process does not need is nil.
type listeners struct{ public, internal, admin net.Listener }

// listen opens the process's listeners before its stores, so that a port that is taken stops a
// second process before it touches the data. If one fails, the others are closed.
func (c Config) listen(ctx context.Context) (on listeners, err error) {
	var lc net.ListenConfig
	open := func(flag, address string, wanted bool, into *net.Listener) {
		if err != nil || !wanted {
			return
		}
		if *into, err = lc.Listen(ctx, "tcp", address); err != nil {
			err = errors.Join(cannotListen(flag, address, err), on.close())
		}
	}

	open("--listen", c.Listen, c.runs("gateway"), &on.public)
	open("--internal-listen", c.InternalListen, c.servesInternally(), &on.internal)
	open("--admin-listen", c.AdminListen, true, &on.admin)
	return on, err
}

// close closes the listeners that are open.
func (l listeners) close() error {
	var errs []error
	for _, each := range []net.Listener{l.public, l.internal, l.admin} {
		if each != nil {
			errs = append(errs, each.Close())
		}
	}
	return errors.Join(errs...)
}

// run starts everything and stops it in order: the listeners first, so that the last request still
// finds the services running, then the background jobs. It returns when all of them have ended. A
// listener that fails stops the process; a background job that fails starts again.
func (s *services) run(ctx context.Context, on listeners) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	group, failed := errgroup.WithContext(background)
	for name, run := range s.background {
		group.Go(func() error {
			s.keepRunning(failed, name, run)
			return nil
		})
	}

	// The listeners: each has its own goroutine, and is shut down in the order of its start.
	var servers []*http.Server
	start := func(srv *http.Server, serve func() error) {
		servers = append(servers, srv)
		group.Go(func() error {
			if err := serve(); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}

	if on.public != nil {
		srv := server(s.handler, s.log)
		start(srv, func() error { return srv.Serve(connection.Listen(gateway.Framed(on.public))) })
	}
	if on.internal != nil {
		srv := s.internal.HTTP()
		start(srv, func() error {
			if s.credentials.Secured() {
				return srv.ServeTLS(on.internal, "", "")
			}
			return srv.Serve(on.internal)
		})
	}

	admin := server(s.adminHandler(), s.log)
	start(admin, func() error { return admin.Serve(on.admin) })
	// The stop. Draining first makes the readiness check fail, and ends long streams through
	// s.drain.
	group.Go(func() error {
		select {
		case <-ctx.Done():
			s.log.Info("stopping: finishing requests in progress")
		case <-failed.Done():
		}
		s.draining.Store(true)
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

// keepRunning restarts a background job that fails, after restartPause. Each job resumes from
// stored state, and a payment must not be refused because a webhook could not be queued. A job that
// returns nil has ended for good.
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

// server returns an HTTP server with the gateway's limits.
func server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: gateway.ReadHeaderTimeout, ReadTimeout: gateway.ReadTimeout,
		IdleTimeout: gateway.IdleTimeout, MaxHeaderBytes: gateway.ServerHeaderBytes, ConnContext: connection.Context,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
}

// adminHandler serves health and metrics. It is not for the public.
func (s *services) adminHandler() http.Handler {
	mux := http.NewServeMux()
	gateway.Health(mux, s.ready)
	mux.Handle(
		"GET /metrics",
		promhttp.HandlerFor(s.metrics.Registry(), promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}),
	)
	return mux
}
