package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	probeTimeout  = 3 * time.Second
	maxProbeBytes = 1 << 10
)

// probe is the health check of a container that contains only this binary.
type probe struct {
	URL string `arg:"" optional:"" default:"http://127.0.0.1:9090/readyz" help:"Health URL to request."`
}

func (p probe) ask(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: probeTimeout}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, maxProbeBytes))
		return fmt.Errorf("%s: %s", answer.Status, body)
	}
	return nil
}
