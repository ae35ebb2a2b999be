"""The section `lint`: suppressed lints, each with a reason."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Reason = Annotated[str, Field(min_length=1)]
"""Why a lint does not matter here: `lint: {L909: small on purpose}`."""
