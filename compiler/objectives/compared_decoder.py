"""What objectives share whose decoder's result is compared with the sample by a plain loss."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field as Setting

from .encoder_decoder import EncoderDecoder


class ComparedDecoder(EncoderDecoder):
    """Make the difference small between a sample and what the decoder makes of its code."""

    instead: ClassVar[str] = "`loss: mse`"

    loss: Literal["mse", "l1", "bce_logits"] = Setting(
        default="mse",
        description="What is made small, a mean over the elements: the squared difference, the "
        "absolute one, or the binary cross-entropy of scores, for targets in [0, 1].",
    )

    @property
    def gives_logits(self) -> bool:
        return self.loss == "bce_logits"

    @property
    def judged_by(self) -> str:
        return f"the loss `{self.loss}`"
