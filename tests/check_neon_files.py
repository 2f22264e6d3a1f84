#!/usr/bin/env python
"""Shows what Python finds in model files in neon's format, and compares two of them.

    python tests/check_neon_files.py FILE.prm [OTHER.prm]

Needs only numpy; runs under Python 2.7 and 3, and loads a file as neon 2.6 does there. It prints each
array with its layer, shape and sum. With OTHER, it fails unless both files hold equal arrays under
equal names, and the same description of the layers. Not part of `cargo test`, which needs no Python.
"""
from __future__ import print_function

import pickle
import sys

import numpy


def load(path):
    """The file's dictionary; under Python 3 the strings of Python 2 are latin-1, as for neon."""
    with open(path, "rb") as file:
        if sys.version_info[0] < 3:
            return pickle.load(file)
        return pickle.load(file, encoding="latin1")


def layers_of(model):
    """(name, class, configuration, parameters, states) of each layer, in the order of the file."""
    if "layer_params_states" in model:
        for layer in model["layer_params_states"]:
            params = dict(layer["params"])
            name = params.pop("name", None)
            yield name, None, {}, params, layer.get("states", [])
        return
    pending = [model["model"]]
    while pending:
        layer = pending.pop(0)
        config = layer["config"]
        if "layers" in config:
            pending = list(config["layers"]) + pending
            continue
        yield (config.get("name"), layer["type"].split(".")[-1], config,
               layer.get("params", {}), layer.get("states", []))


def arrays_of(model):
    """(layer, class, what it is, array)."""
    for name, kind, _, params, states in layers_of(model):
        for key in sorted(params):
            yield name, kind, key, params[key]
        for index, state in enumerate(states):
            # A layer of several parameters has a list of states for each.
            several = state if isinstance(state, list) else [state]
            for inner, array in enumerate(several):
                yield name, kind, "state %d.%d" % (index, inner), array


def show(path, model):
    print("%s: neon %s, epoch %s" % (path, model.get("neon_version"), model.get("epoch_index")))
    total = 0
    for name, kind, what, array in arrays_of(model):
        assert type(array) is numpy.ndarray, (name, what, type(array))
        total += array.size
        print("%-24s %-16s %-10s %-8s %-12s %.9g"
              % (name, kind, what, array.dtype, array.shape, array.astype("f8").sum()))
    print("%d layers, %d values" % (len(list(layers_of(model))), total))


def differences(one, other):
    """What differs, in words."""
    of = [list(arrays_of(model)) for model in (one, other)]
    if len(of[0]) != len(of[1]):
        yield "%d arrays against %d" % (len(of[0]), len(of[1]))
    for (name, kind, what, a), (other_name, other_kind, other_what, b) in zip(*of):
        if (name, kind, what) != (other_name, other_kind, other_what):
            yield "%s %s %s against %s %s %s" % (name, kind, what, other_name, other_kind, other_what)
        elif a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
            yield "the values of %s %s" % (name, what)
    descriptions = [[layer[:3] for layer in layers_of(model)] for model in (one, other)]
    for a, b in zip(*descriptions):
        if a != b:
            yield "the description %s against %s" % (a, b)


def main(paths):
    if len(paths) not in (1, 2):
        sys.exit(__doc__)
    models = [load(path) for path in paths]
    for path, model in zip(paths, models):
        show(path, model)
    if len(models) == 2:
        found = list(differences(*models))
        for difference in found:
            print("differs: " + difference)
        print("the two files are %s" % ("different" if found else "equal"))
        return 1 if found else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
