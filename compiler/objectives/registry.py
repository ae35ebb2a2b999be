"""Every objective by its name in the language."""

from __future__ import annotations

from .autoencoder import Autoencoder
from .base import Objective
from .gan import Gan
from .language_model import LanguageModel
from .seq2seq import Seq2Seq
from .supervised import Supervised
from .vae import Vae
from .vq_vae import VqVae

OBJECTIVES: dict[str, type[Objective]] = {
    cls.name: cls for cls in (Supervised, LanguageModel, Seq2Seq, Autoencoder, Vae, VqVae, Gan)
}
