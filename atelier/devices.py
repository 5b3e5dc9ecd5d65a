"""What a device can do.

What belongs here: questions about a processor or a GPU that PyTorch answers differently for each. What does not: which
device is used (:mod:`resources.compute`), precision that a config asks for.
"""

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for products in bfloat16; without them they are slower than in float32."""
    if device.type == "cuda":  # PyTorch's own answer is also yes where it would emulate them
        return torch.cuda.get_device_capability(device) >= (8, 0)
    features = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))
