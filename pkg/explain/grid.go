package explain

import (
	"iter"
	"slices"
)

// Layout says which axis of a row holds the channels.
type Layout uint8

// The layouts. Rows of one or two axes have no channels, whatever the layout.
const (
	LayoutUnknown Layout = iota // told by the dimensions: channels are last when only the last axis is as short as 1, 3 or 4
	ChannelsFirst               // [C,H,W], and [C,D,H,W] of volumes
	ChannelsLast                // [H,W,C]
)

// grid is the shape of one row, seen as cells that have channels each.
type grid struct {
	dims     []int // the axes that are not channels
	channels int   // 1 when there are none
	last     bool  // channels are the last axis
}

// newGrid reads the shape of a row, without its batch axis.
func newGrid(shape []int64, layout Layout) grid {
	dims := make([]int, len(shape))
	for i, d := range shape {
		dims[i] = int(d)
	}
	if len(dims) < 3 {
		return grid{dims: dims, channels: 1}
	}
	n := len(dims) - 1
	if layout == ChannelsLast || layout == LayoutUnknown && few(dims[n]) && !few(dims[0]) {
		return grid{dims: dims[:n], channels: dims[n], last: true}
	}
	return grid{dims: dims[1:], channels: dims[0]}
}

// few tells whether an axis is as long as the channels of a picture.
func few(dim int) bool { return dim == 1 || dim == 3 || dim == 4 }

// cells returns the number of cells.
func (g grid) cells() int { return product(g.dims) }

// index returns where the row keeps a channel of a cell.
func (g grid) index(channel, cell int) int {
	if g.last {
		return cell*g.channels + channel
	}
	return channel*g.cells() + cell
}

// elements returns the runs of elements that hold all channels of n cells from one on.
func (g grid) elements(cell, n int) iter.Seq2[int, int] {
	return func(yield func(from, n int) bool) {
		if g.last {
			yield(cell*g.channels, n*g.channels)
			return
		}
		for c := range g.channels {
			if !yield(g.index(c, cell), n) {
				return
			}
		}
	}
}

// window is a box of cells: from from to to-1 along each axis.
type window struct{ from, to []int }

// runs returns the window's cells as runs along the last axis.
func (w window) runs(dims []int) iter.Seq2[int, int] {
	return func(yield func(cell, n int) bool) {
		if len(dims) == 0 {
			yield(0, 1)
			return
		}
		last := len(dims) - 1
		at := slices.Clone(w.from)
		for {
			cell := 0
			for i, d := range dims {
				cell = cell*d + at[i]
			}
			if !yield(cell, w.to[last]-w.from[last]) {
				return
			}
			axis := last - 1
			for ; axis >= 0; axis-- {
				if at[axis]++; at[axis] < w.to[axis] {
					break
				}
				at[axis] = w.from[axis]
			}
			if axis < 0 {
				return
			}
		}
	}
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}
