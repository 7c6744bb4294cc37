package heatmap

import (
	"image/color"
	"math"
)

// shade is a colour as numbers to calculate with, from 0 to 255.
type shade struct{ r, g, b float64 }

// mix returns a at 0 and b at 1, and what lies between them.
func mix(a, b shade, t float64) shade {
	return shade{a.r + (b.r-a.r)*t, a.g + (b.g-a.g)*t, a.b + (b.b-a.b)*t}
}

func (s shade) opaque() color.RGBA {
	round := func(v float64) uint8 { return uint8(math.Round(min(max(v, 0), 255))) }
	return color.RGBA{round(s.r), round(s.g), round(s.b), 255}
}

// grey returns the brightness of s.
func (s shade) grey() shade {
	y := 0.299*s.r + 0.587*s.g + 0.114*s.b
	return shade{y, y, y}
}

// ramp returns the colour at v, from 0 to 1, of stops at equal distances.
func ramp(v float64, stops ...shade) shade {
	at := v * float64(len(stops)-1)
	i := min(int(at), len(stops)-2)
	return mix(stops[i], stops[i+1], at-float64(i))
}

// paper is the colour of a value from -1 to 1 on white, as on a page.
func paper(v float64) shade {
	if v < 0 {
		return ramp(-v, shade{250, 250, 250}, shade{166, 205, 228}, shade{67, 147, 195}, shade{18, 79, 148})
	}
	return ramp(v, shade{250, 250, 250}, shade{249, 184, 153}, shade{219, 95, 80}, shade{165, 15, 32})
}

// night is the colour of a value from -1 to 1 on near black, as in a terminal.
func night(v float64) shade {
	if v < 0 {
		return ramp(-v, shade{22, 24, 30}, shade{24, 66, 125}, shade{48, 128, 214}, shade{150, 205, 255})
	}
	return ramp(v, shade{22, 24, 30}, shade{122, 24, 32}, shade{226, 62, 50}, shade{255, 176, 124})
}
