// Package jssdk proves with the official JavaScript SDK that the LangSmith simulator is honest: what the SDK reads
// is what the simulator says it tells, and what the SDK traces is what the simulator keeps.
package jssdk
