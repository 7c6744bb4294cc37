#!/usr/bin/env python3
"""Explains two small networks with Captum, as a reference for pkg/explain.

    python scripts/reference/explain.py

It needs torch and captum. It writes pkg/explain/testdata/captum.json: the networks' weights, an input, a baseline and a target each, and
what Captum attributes to the input. The test computes the same networks, and their gradients, in Go.
"""

import json
from pathlib import Path

import captum
import torch
from captum import attr

OUT = Path(__file__).resolve().parents[2] / "pkg" / "explain" / "testdata" / "captum.json"

torch.manual_seed(5)


class Picture(torch.nn.Module):
    """Convolution of 2x2 patches, Relu, the mean square of each channel, a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 2, stride=2)
        self.relu = torch.nn.ReLU()
        self.last = torch.nn.Linear(4, 2, bias=False)
        with torch.no_grad():
            self.conv.weight *= 2
            self.conv.weight[:, 2, 1, 1] = 0  # some pixels are ignored

    def forward(self, x):
        return self.last((self.relu(self.conv(x)) ** 2).mean((2, 3)))


class Vector(torch.nn.Module):
    """Two linear layers with a Relu between them."""

    def __init__(self):
        super().__init__()
        self.first, self.relu, self.last = torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.relu(self.first(x)))


def flat(t):
    return [float(v) for v in t.detach().flatten()]


def common(net, x, b, target):
    """Returns what Captum says of any network."""
    ig = attr.IntegratedGradients(net)
    out = {"y": flat(net(x)), "x": flat(x), "baseline": flat(b), "target": target}
    for rule in ["gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid"]:
        values, delta = ig.attribute(x, b, target=target, n_steps=15, method=rule, return_convergence_delta=True)
        out["integrated_gradients " + rule] = flat(values)
        out["delta " + rule] = flat(delta)
    out["saliency"] = flat(attr.Saliency(net).attribute(x, target=target))
    out["saliency signed"] = flat(attr.Saliency(net).attribute(x, target=target, abs=False))
    out["input_x_gradient"] = flat(attr.InputXGradient(net).attribute(x, target=target))
    out["guided_backprop"] = flat(attr.GuidedBackprop(net).attribute(x, target=target))
    out["deconvolution"] = flat(attr.Deconvolution(net).attribute(x, target=target))
    return out


def maps(net, x, target):
    """Returns the maps that Captum does not have, by their formulas."""
    a = net.relu(net.conv(x))
    (g,) = torch.autograd.grad(net.last((a**2).mean((2, 3)))[0, target], a)
    divisor = 2 * g**2 + a.sum((2, 3), keepdim=True) * g**3
    alpha = torch.where(divisor != 0, g**2 / torch.where(divisor != 0, divisor, 1), 0)
    weights = (alpha * g.relu()).sum((2, 3), keepdim=True)
    return {"grad_cam_pp": (weights * a).sum(1, keepdim=True).relu(), "layer_cam": (g.relu() * a).sum(1, keepdim=True).relu()}


def picture():
    net, x, b, target = Picture(), torch.randn(1, 3, 6, 6), torch.full((1, 3, 6, 6), 0.1), 1
    out = common(net, x, b, target)
    cam = attr.LayerGradCam(net, net.relu)
    for name, relu in [("grad_cam", True), ("grad_cam signed", False)]:
        small = cam.attribute(x, target=target, relu_attributions=relu)
        out[name] = flat(attr.LayerAttribution.interpolate(small, (6, 6), "bilinear"))
    guided = attr.GuidedGradCam(net, net.relu)
    out["guided_grad_cam"] = flat(guided.attribute(x, target=target, interpolate_mode="bilinear"))
    for name, small in maps(net, x, target).items():
        out[name] = flat(torch.nn.functional.interpolate(small, (6, 6), mode="bilinear"))
    layer = attr.LayerIntegratedGradients(net, net.relu)
    values, delta = layer.attribute(x, b, target=target, n_steps=50, return_convergence_delta=True)
    out["layer_integrated_gradients"], out["layer_integrated_gradients delta"] = flat(values), flat(delta)
    out["occlusion"] = flat(attr.Occlusion(net).attribute(x, (3, 3, 3), (3, 2, 2), b, target=target))
    return out | {"conv.weight": flat(net.conv.weight), "conv.bias": flat(net.conv.bias), "last.weight": flat(net.last.weight)}


def vector():
    net, x, b, target = Vector(), torch.randn(1, 6), torch.randn(1, 6), 2
    out = common(net, x, b, target)
    out["shapley"] = flat(attr.ShapleyValues(net).attribute(x, b, target=target))
    for name, layer in [("first", net.first), ("last", net.last)]:
        out[name + ".weight"], out[name + ".bias"] = flat(layer.weight), flat(layer.bias)
    return out


made_with = f"torch {torch.__version__}, captum {captum.__version__}"
networks = {"picture": picture(), "vector": vector()}
lines = [f'{{"made_with": {json.dumps(made_with)}']
for name, values in networks.items():
    lines.append(f'"{name}": {{\n ' + ",\n ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in values.items()) + "}")
OUT.write_text(",\n".join(lines) + "}\n", encoding="utf-8")
