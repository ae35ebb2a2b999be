"""How the input of a denoising autoencoder is spoilt; runtime/objectives/corruptions.py does it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field as Setting

from .numbers import IN_FLOAT32
from .section import Section


class Corruption(Section):
    """A random change of what the encoder reads, in units of the network's input."""

    name: ClassVar[str]


class Numbered(Corruption):
    """One that a number alone describes."""

    expects: ClassVar[str] = "a number or a map"
    main: ClassVar[str] = "rate"

    @classmethod
    def desugar(cls, data: Any) -> Any:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        return {cls.main: data} if is_number else super().desugar(data)


class GaussianNoise(Numbered):
    """Add normal noise to every element."""

    name: ClassVar[str] = "gaussian"
    title: ClassVar[str] = "the noise `gaussian`"
    main: ClassVar[str] = "std"

    std: Annotated[float, Setting(gt=0), IN_FLOAT32] = Setting(description="Its deviation.")


class Masking(Numbered):
    """Set elements to the smallest value. Source: Vincent et al. 2010, section 3.3."""

    name: ClassVar[str] = "masking"
    title: ClassVar[str] = "the noise `masking`"

    rate: float = Setting(gt=0, lt=1, description="The probability of each element.")


class SaltPepper(Numbered):
    """Set elements to the smallest or the largest value, each as often as the other."""

    name: ClassVar[str] = "salt_pepper"
    title: ClassVar[str] = "the noise `salt_pepper`"

    rate: float = Setting(gt=0, lt=1, description="The probability of each element.")


CORRUPTIONS: dict[str, type[Corruption]] = {
    cls.name: cls for cls in (GaussianNoise, Masking, SaltPepper)
}
