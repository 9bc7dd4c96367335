// Package sim is the simulation: a seeded run of many operations over the real store, the real
// simulator and the coordinator, with faults, lost answers, jumping clocks and crashes, after
// which every invariant must hold. It contains only tests.
package sim
