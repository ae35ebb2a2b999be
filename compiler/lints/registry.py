"""Every lint by its code. The docstring of each is its page of the manual."""

from __future__ import annotations

from ..diagnostics import Code
from .activation_before_logits_loss import activation_before_logits_loss
from .base import Lint
from .bias_before_batch_norm import bias_before_batch_norm
from .checkerboard import checkerboard
from .code_without_prior import code_without_prior
from .convolution_without_order import convolution_without_order
from .critic_batch_norm import critic_batch_norm
from .long_vanilla_rnn import long_vanilla_rnn
from .output_range import output_range
from .padding_as_data import padding_as_data
from .receptive_field import receptive_field
from .recurrence_over_image import recurrence_over_image
from .uneven_adversaries import uneven_adversaries
from .wide_code import wide_code

LINTS: dict[Code, Lint] = {
    Code.L901: long_vanilla_rnn,
    Code.L902: convolution_without_order,
    Code.L903: wide_code,
    Code.L904: activation_before_logits_loss,
    Code.L905: critic_batch_norm,
    Code.L906: bias_before_batch_norm,
    Code.L907: output_range,
    Code.L908: checkerboard,
    Code.L909: receptive_field,
    Code.L910: padding_as_data,
    Code.L911: recurrence_over_image,
    Code.L912: code_without_prior,
    Code.L913: uneven_adversaries,
}
