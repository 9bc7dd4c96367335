package learning

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/paylink/paylink/internal/fraud/score"
)

// The intervals of a source of models.
const (
	modelsReload = 5 * time.Second // a promotion is active in every process within two of these
	modelsRead   = 4 * time.Second
)

// Holder is the source of the stored models. Call Load before it is used, then Run.
type Holder struct {
	models          Models
	log             *slog.Logger
	running, shadow atomic.Pointer[score.Model]
}

// NewHolder returns a holder without a model.
func NewHolder(models Models, log *slog.Logger) *Holder {
	return &Holder{models: models, log: log}
}

// Running returns the active model, or nil if there is none.
func (h *Holder) Running() *score.Model { return h.running.Load() }

// Shadow returns the shadow model, or nil if there is none.
func (h *Holder) Shadow() *score.Model { return h.shadow.Load() }

// Load reads the active models that differ from those held. A model that cannot be read leaves the
// present one in place, and its error is returned. A state without a model holds none.
func (h *Holder) Load(ctx context.Context) error {
	all, err := h.models.Models(ctx)
	if err != nil {
		return err
	}

	for state, to := range map[string]*atomic.Pointer[score.Model]{Running: &h.running, Shadow: &h.shadow} {
		version := ""
		for _, m := range all {
			if m.State == state {
				version = m.Version
			}
		}
		is := to.Load()
		switch {
		case version == "":
			to.Store(nil)
		case is == nil || is.Version != version:
			m, err := load(ctx, h.models, version)
			if err != nil {
				return err
			}
			to.Store(m)
			h.log.InfoContext(ctx, "a fraud model is in use", "version", version, "state", state)
		}
	}

	return nil
}

// Run reloads until ctx ends (nil). While the store is unavailable, the present models stay. Each
// reload has a time limit.
func (h *Holder) Run(ctx context.Context) error {
	look := time.NewTicker(modelsReload)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		reading, cancel := context.WithTimeout(ctx, modelsRead)
		if err := h.Load(reading); err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "the fraud models could not be read; the running one stays in use", "error", err)
		}
		cancel()
	}
}
