"""Draws the ten sample digits: strokes rendered at 20x and averaged down to 28x28 grey, as MNIST centres them.

usage: python draw_digits.py DIR
"""
import sys, math
from pathlib import Path
import numpy as np
from PIL import Image, ImageDraw

def arc(cx, cy, rx, ry, a, b, n=40):
    return [(cx + rx*math.cos(math.radians(a+(b-a)*i/n)), cy + ry*math.sin(math.radians(a+(b-a)*i/n))) for i in range(n+1)]

STROKES = {
    0: [arc(14, 14, 5.2, 7.6, -80, 285)],
    1: [[(11.5, 8.5), (14.6, 6), (14, 22)]],
    2: [arc(13.6, 10, 4.6, 3.8, -160, 40) + [(9, 21.5), (14, 20.6), (19.5, 21.6)]],
    3: [arc(13.2, 9.8, 4.4, 3.7, -150, 90) + arc(13.2, 17.6, 5, 4.2, -90, 140)],
    4: [[(11.5, 6.5), (9, 14.5), (18.6, 14.2)], [(17.2, 6.8), (16.2, 22)]],
    5: [[(18.6, 6.6), (11, 6.8), (10.2, 13.2)] + arc(13, 17, 4.9, 4.4, -125, 140)],
    6: [[(17, 6.2), (12.6, 9.6), (9.6, 16)] + arc(13.8, 17.4, 4.3, 4, 180, 530)],
    7: [[(9, 7.4), (18.8, 7), (15.6, 13), (12.6, 22)]],
    8: [arc(14, 10, 3.8, 3.6, 60, -290) + arc(14, 18, 4.3, 4, -70, 290)],
    9: [arc(13.4, 10.8, 4.3, 4.1, -10, 350) + [(17.4, 15), (15.6, 22)]],
}

def draw(strokes, s=20, width=2.1):
    im = Image.new("L", (28*s, 28*s)); d = ImageDraw.Draw(im); w = width*s/2
    for pts in strokes:
        for (x0, y0), (x1, y1) in zip(pts, pts[1:]):
            n = max(2, int(math.dist((x0, y0), (x1, y1))*8))
            for i in range(n+1):
                x, y = (x0+(x1-x0)*i/n)*s, (y0+(y1-y0)*i/n)*s
                d.ellipse((x-w, y-w, x+w, y+w), fill=255)
    return im.resize((28, 28), Image.BOX)

if __name__ == "__main__":
    out = Path(sys.argv[1]); out.mkdir(parents=True, exist_ok=True)
    for digit, strokes in STROKES.items():
        draw(strokes).save(out / f"{digit}.png", optimize=True)
