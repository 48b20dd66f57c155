"""Sine and exponential that have the same bits everywhere.

Libraries round them each in its own way. These are made of float32 additions and products alone, and of the
bits of a number, which all processors round alike: as numba kernels for the CPU, by tensor operations for any
device, and in `rendering_triton` for a GPU. Whoever changes one changes all; nothing may be fused.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from islands.encodings.kernels import kernel

# Typed constants: a Python float would make numba compute in double precision.
ONE = np.float32(1)
# Adding and subtracting 1.5 * 2**23 rounds to the nearest integer, which the low bits of the sum then hold.
ROUND = np.float32(12582912)
ROUND_BITS = 0x4B400000  # of ROUND
# Pi and ln 2 in parts of few bits: multiples of the first ones are exact, which keeps sin(1e4) good to 1e-6.
PI_1, PI_2 = np.float32(3.140625), np.float32(np.pi - 3.140625)
LN2_1, LN2_2 = np.float32(0.693359375), np.float32(np.log(2) - 0.693359375)
BY_PI = np.float32(1 / np.pi)
BY_LN2 = np.float32(1 / np.log(2))
# Below exp(-87.3) the exponent's bits run out: 2**-126 is the least normal number.
LEAST_EXPONENT = np.float32(-87)
# Taylor coefficients; the first left out is below float32 resolution within the reduced range.
S3, S5, S7, S9, S11 = (np.float32(c) for c in (-1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800))
E2, E3, E4, E5, E6 = (np.float32(c) for c in (1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720))


@kernel
def sine(x: np.float32) -> np.float32:
    """Return sin(x) for |x| up to 1e5 within 1e-6."""
    sum_ = x * BY_PI + ROUND
    turns = sum_ - ROUND
    r = (x - turns * PI_1) - turns * PI_2
    q = r * r
    magnitude = r + r * q * (S3 + q * (S5 + q * (S7 + q * (S9 + q * S11))))
    # The lowest bit tells whether an odd number of half turns was taken off: it becomes the sign.
    return _from_bits(_bits(magnitude) ^ (_bits(sum_) << 31))


@kernel
def exponential(x: np.float32) -> np.float32:
    """Return exp(x) for x <= 0 within 1e-7."""
    x = max(x, LEAST_EXPONENT)
    sum_ = x * BY_LN2 + ROUND
    power = sum_ - ROUND
    r = (x - power * LN2_1) - power * LN2_2
    series = ONE + r * (ONE + r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * E6)))))
    # The low bits of the sum hold `power`: before AVX-512 no vector instruction makes an int64 of a float.
    return series * _from_bits((_bits(sum_) - ROUND_BITS + 127) << 23)


@kernel
def _bits(x: np.float32) -> int:
    return np.float32(x).view(np.int32)  # type: ignore[return-value]


@kernel
def _from_bits(bits: int) -> np.float32:
    return np.int32(bits).view(np.float32)


def sines(x: Tensor) -> Tensor:
    """Return `sine` of each element of float32, to the same bits."""
    total = x * float(BY_PI) + float(ROUND)
    turns = total - float(ROUND)
    r = (x - turns * float(PI_1)) - turns * float(PI_2)
    q = r * r
    magnitude = r + r * q * _polynomial(q, S3, S5, S7, S9, S11)
    return (magnitude.view(torch.int32) ^ (total.view(torch.int32) << 31)).view(torch.float32)


def exponentials(x: Tensor) -> Tensor:
    """Return `exponential` of each element of float32, to the same bits."""
    x = x.clamp(min=float(LEAST_EXPONENT))
    total = x * float(BY_LN2) + float(ROUND)
    power = total - float(ROUND)
    r = (x - power * float(LN2_1)) - power * float(LN2_2)
    series = _polynomial(r, ONE, ONE, E2, E3, E4, E5, E6)
    return series * ((total.view(torch.int32) - (ROUND_BITS - 127)) << 23).view(torch.float32)


def _polynomial(x: Tensor, *coefficients: np.float32) -> Tensor:
    """Return c0 + x * (c1 + x * (c2 + …))."""
    total = x * float(coefficients[-1]) + float(coefficients[-2])
    for coefficient in coefficients[-3::-1]:
        total = total * x + float(coefficient)
    return total
