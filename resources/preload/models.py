"""Imports of the steps that train and apply models, on top of those of every step.

What belongs here: see :mod:`resources.preload.tables`. What does not: anything that touches a GPU, since CUDA
does not survive a fork.
"""

import gc
import pkgutil
from importlib import import_module

import torch._dynamo  # torch's optimisers import it at their first step: it takes as long as torch itself

import atelier
import resources.preload.tables

for module in pkgutil.walk_packages(atelier.__path__, "atelier."):
    import_module(module.name)

gc.freeze()
