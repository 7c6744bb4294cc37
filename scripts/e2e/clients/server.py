"""The server that scripts/e2e has started, and what its models must answer.

It runs in the working directory, with its addresses in the environment. It serves mnist, a classifier of pictures of digits,
and pair, whose outputs are rows of four numbers doubled, and negated.
"""

import contextlib
import json
import os
import time

import numpy as np

CA = "ca.pem"
REST = os.environ["INFERENCE"]
GRPC = os.environ["GRPC_INFERENCE"]

with open("key_file.json", encoding="utf-8") as file:
    KEY = json.load(file)["inference"]["key"]
with open(os.path.join(os.environ["SAMPLES"], "digits", "3.png"), "rb") as file:
    DIGIT = file.read()
ROWS = np.array([[1, 2, 3, 4], [-5, 6, 0, 0.5]], np.float32)


def authorization():
    """Returns the header with the key: a dictionary for each call, as the clients write into it."""
    return {"authorization": "Bearer " + KEY}


@contextlib.contextmanager
def check(what):
    """Says that what is asserted within holds."""
    begun = time.monotonic()
    yield
    print(f"ok   {what} ({time.monotonic() - begun:.3f}s)")


def is_pair(double, negated):
    """Asserts that two arrays are what pair makes of ROWS."""
    for got, want in ((double, 2 * ROWS), (negated, -ROWS)):
        assert got.dtype == np.float32, got.dtype
        np.testing.assert_array_equal(got, want)


def is_three(scores):
    """Asserts that scores of mnist are those of DIGIT."""
    assert scores.shape == (1, 10) and scores.argmax() == 3, scores
