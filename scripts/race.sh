# Sourced by test.sh and lint.sh: how everything is compiled for the race detector. Lint
# asks for the same, so that both find in Go's cache what the other has made.
# SQLite, which is C put into Go, is left without the detector: it guards itself, and
# would take half of the time. So is what trains and scores, which is arithmetic on
# what it is given and starts nothing.
race=(-race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc/...=-race=false -gcflags=github.com/paylink/paylink/internal/fraud/score=-race=false)
export CGO_ENABLED=1
