"""Seeded mutants of the engine and the detectors, and the share of them that the tests notice.

A mutant is the source with one small fault. ``python -m tools.mutants --help`` says how to draw and try some.
"""
