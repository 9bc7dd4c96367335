// Package sim is the simulation: seeded runs of many operations over the real store, the real
// simulator and the coordinator, with faults, lost answers, jumping clocks and crashes, after
// which every invariant must hold. If one is broken, the run prints the story of the payments
// concerned. Histories of concurrent clients are compared with sequential models. It contains
// only tests.
package sim
