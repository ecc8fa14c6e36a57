"""Trials of earlier runs, which need not be repeated as long as the source and the test are the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tools.mutants.areas import ROOT
from tools.mutants.mutations import Mutant
from tools.mutants.trials import Fate, Trial


class KeptTrials:
    """The noticed mutants. A survivor is tried again each time: a new test may notice it."""

    def __init__(self, path: Path, *, root: Path = ROOT) -> None:
        self._path = path
        self._root = root
        self._kept: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}

    def find(self, mutant: Mutant) -> Trial | None:
        kept = self._kept.get(self._key(mutant))
        if kept is None or kept["test"] != self._hash(kept["file"]):
            return None
        return Trial(mutant=mutant, fate=Fate(kept["fate"]), by=kept["by"], tests=0, tests_that_run_it=0)

    def add(self, trial: Trial) -> None:
        if trial.fate in (Fate.KILLED, Fate.TIMED_OUT) and trial.file:
            self._kept[self._key(trial.mutant)] = {
                "fate": trial.fate,
                "by": trial.by,
                "file": trial.file,
                "test": self._hash(trial.file),
            }
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._kept))

    def _key(self, mutant: Mutant) -> str:
        return f"{self._hash(mutant.path)} {mutant.start} {mutant.end} {mutant.after}"

    def _hash(self, file: str) -> str:
        path = self._root / file
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
