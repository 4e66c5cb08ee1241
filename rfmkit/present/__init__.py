"""What the reader sees: words, tables and figures; no analysis."""

from __future__ import annotations

from rfmkit.present.wording import Reader

__all__ = ["Reader"]
