// Package llmmetrics aggregates observations of GenAI operations into OTLP metrics.
//
// An [Engine] keeps series; a [Recorder] adds one [Observation] at a time; [Engine.Flush] turns the state into
// pmetric data. Time comes in as a parameter: the package has no clock, no I/O and no logger.
//
// Sums are kept as integers of 128 bits, so a total does not depend on the order in which observations came
// or on how they were cut into batches.
package llmmetrics
