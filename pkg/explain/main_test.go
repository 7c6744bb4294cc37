package explain_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, and fails where one leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
