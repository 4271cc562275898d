// Package genai knows the conventions for telemetry of generative AI: names, dialects and units.
//
// [Reader] reads a span of any dialect into one [Call]; [Write] writes what a Call holds back onto a span in
// the current conventions. Both are pure functions of their input, without I/O, clock or logger.
package genai
