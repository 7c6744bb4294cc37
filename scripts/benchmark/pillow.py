"""Decode, resize, crop and normalise a picture as torchvision's users do, on one thread.

Each line of the standard input is how many seconds to measure; each is answered by a line with the median time in milliseconds.
"""

import io
import statistics
import sys
import time

import torch
from PIL import Image
from torchvision import transforms

torch.set_num_threads(1)
data = open(sys.argv[1], "rb").read()
transform = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)
for line in sys.stdin:
    times = []
    end = time.perf_counter() + float(line)
    while time.perf_counter() < end:
        start = time.perf_counter()
        transform(Image.open(io.BytesIO(data)).convert("RGB"))
        times.append(time.perf_counter() - start)
    print(1000 * statistics.median(times), flush=True)
