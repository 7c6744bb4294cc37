#!/usr/bin/env python3
"""Preprocesses the samples for the shipped models with Pillow and torchvision, as a reference for pkg/vision.

    python scripts/reference/preprocess.py

It needs pillow, numpy, torch and torchvision. For each sample and each model it writes the tensor, or of a large one every STEPth
value, as float32, to pkg/vision/testdata/reference/, and one line to its index.json with the options that a manifest has.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision import transforms as t
from torchvision.transforms import InterpolationMode

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "pkg" / "vision" / "testdata" / "reference"
STEP = 31  # for pictures; a prime that divides no row, so that the values wander over the columns

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
MODELS = {
    "mnist": (
        "digits/*.png",
        {"size": 28, "resizeRule": "stretch", "colour": "grey", "mean": [0.1307], "std": [0.3081]},
        t.Compose([t.Grayscale(), t.Resize((28, 28)), t.ToTensor(), t.Normalize(0.1307, 0.3081)]),
    ),
    "resnet-18": (
        "*.jpg",
        {"size": 64, "resize": 64, "mean": MEAN, "std": STD},
        t.Compose([t.Resize(64), t.CenterCrop(64), t.ToTensor(), t.Normalize(MEAN, STD)]),
    ),
    "efficientnet-lite0": (
        "*.jpg",
        {"size": 224, "resize": 256, "interpolation": "bicubic", "scale": 1, "mean": [127], "std": [128]},
        t.Compose([
            t.Resize(256, InterpolationMode.BICUBIC),
            t.CenterCrop(224),
            t.Lambda(lambda image: np.asarray(image).astype("f4").transpose(2, 0, 1)),
            t.Lambda(lambda array: (array - 127) / 128),
        ]),
    ),
}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    lines = []
    for model, (pattern, options, transform) in MODELS.items():
        for sample in sorted((ROOT / "samples").glob(pattern)):
            tensor = np.asarray(transform(Image.open(sample).convert("RGB")), dtype="<f4")
            name = f"{model}-{sample.stem}.f32"
            step = STEP if tensor.size > 1000 else 1
            (OUT / name).write_bytes(tensor.reshape(-1)[::step].tobytes())
            lines.append(json.dumps({
                "model": model, "sample": str(sample.relative_to(ROOT / "samples")), "options": options,
                "shape": [1, *tensor.shape], "range": [float(tensor.min()), float(tensor.max())], "step": step, "values": name,
            }))
    (OUT / "index.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
