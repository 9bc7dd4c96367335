// Package bench measures the binary as a client sees it: links created and
// payments completed per second, with the latency, the memory and the processor
// time that they cost, beside what the machine itself can do in the same run.
// It has no product code; `make bench` runs it.
package bench
