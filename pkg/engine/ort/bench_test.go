//go:build cgo

package ort_test

import (
	"testing"

	"github.com/tsgo/tsgo/pkg/tensor"
)

// BenchmarkRun is what a run costs beside the network's own work.
func BenchmarkRun(b *testing.B) {
	s := open(b, "add")
	x := of[float32](b, []int64{1, 3}, 1, 2, 3)
	in := tensor.Named{"a": x, "b": x}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Run(b.Context(), in, "sum"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRunParallel(b *testing.B) {
	s := open(b, "add")
	x := of[float32](b, []int64{1, 3}, 1, 2, 3)
	in := tensor.Named{"a": x, "b": x}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Run(b.Context(), in, "sum"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRunLargeOutput copies 16 MB out of the library's memory.
func BenchmarkRunLargeOutput(b *testing.B) {
	s := open(b, "identity-float32")
	x, err := tensor.Make(tensor.Float32, []int64{2 << 20, 2})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(16 << 20)
	for b.Loop() {
		if _, err := s.Run(b.Context(), tensor.Named{"x": x}); err != nil {
			b.Fatal(err)
		}
	}
}
