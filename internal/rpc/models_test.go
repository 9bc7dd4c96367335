package rpc_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/learning"
)

func TestModelsService(t *testing.T) { both(t, modelsSuite) }

func modelsSuite(t *testing.T, b serviceSet) {
	ctx, at := t.Context(), time.Date(2026, 5, 6, 7, 8, 9, 123_456_000, time.UTC)
	info := learning.Info{
		Version:          "0123456789ab",
		TrainedAt:        at,
		From:             at.AddDate(0, 0, -28),
		To:               at.AddDate(0, 0, -21),
		Payments:         4000,
		Frauds:           77,
		AUC:              0.887,
		AveragePrecision: 0.695,
		CardPrecision:    0.29,
		TestedFrom:       at.AddDate(0, 0, -14),
		TestedTo:         at.AddDate(0, 0, -7),
		TestedPayments:   900,
	}
	file := bytes.Repeat([]byte{0, 1, 254, 255}, 100_000)
	good(t, b.world.store.AddModel(ctx, info, file))
	all, err := b.models.Models(ctx)
	want := info
	want.State = learning.Trained
	if err != nil || len(all) != 1 || all[0] != want {
		t.Errorf("%+v, %v\nwant %+v", all, err, want)
	}
	good(t, b.world.store.SetModel(ctx, info.Version, learning.Running))
	if all, err = b.models.Models(ctx); err != nil || all[0].State != learning.Running || all[0].PromotedAt.IsZero() {
		t.Errorf("%+v, %v", all, err)
	}
}
