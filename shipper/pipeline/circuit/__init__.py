"""Keeps all workers together from hammering a destination that takes nothing, or that has just come back."""

from __future__ import annotations

from shipper.pipeline.circuit.circuit import SUFFIX, Circuit

__all__ = ["SUFFIX", "Circuit"]
