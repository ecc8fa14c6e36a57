"""Writes docs/measurements.md, its pictures and docs/measurements.json: ``make measurements``."""
