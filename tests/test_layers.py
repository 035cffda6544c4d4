from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import asradapt

ROOT = Path(asradapt.__file__).parent
LAYERS = (
    {"errors", "types", "wording", "phrases"},
    {
        "audio",
        "audio_checks",
        "held",
        "manifests",
        "fingerprints",
        "manifest_file",
        "manifest_rows",
        "manifest_selection",
        "manifest_stream",
        "texts_beside",
        "as_there",
        "batching",
        "scoring",
        "prompts",
        "mel",
        "pipeline",
        "voice",
        "runs",
        "pcm",
    },
    {"features", "feature_options", "decoding", "language", "simulation"},
    {"models", "adaptation"},
    {"enrolment", "store", "recordings", "test_time", "budget", "pace"},
    {
        "transcript",
        "windows",
        "transcript_files",
        "corrections",
        "correcting",
        "enrollees",
        "transcriber",
        "evaluation",
        "comparison",
        "curve",
        "checks",
        "next_prompts",
        "phrase_tuning",
        "report",
        "formats",
        "subtitles",
        "testing",
        "interchange",
    },
    {"cli", "__main__", "__init__"},
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
FORBIDDEN = {
    ("models", "adaptation"),
    ("store", "enrolment"),
    ("recordings", "enrolment"),
    ("recordings", "store"),
}  # in one layer, and still one way only
FILES = sorted(ROOT.rglob("*.py"))


def home(path: Path) -> str:
    """The module or package right below `asradapt` that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


MODULES = {home(path) for path in FILES}


def running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a file but those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from running(child)


def imported(source: str) -> Iterator[str]:
    """What a file imports from below `asradapt`, also inside functions."""
    for node in running(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the whole name, not a relative import"
            names = [f"{node.module}.{name}" for name in names]
        for first, *rest in (name.split(".") for name in names):
            if first == "asradapt":
                yield rest[0] if rest and rest[0] in MODULES else "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_only_go_down(path):
    here = home(path)
    assert here in LAYER, f"{here} is in no layer: add it to LAYERS here and to section 3 of the design"
    for there in imported(path.read_text(encoding="utf-8")):
        assert there in LAYER, f"{there} is in no layer: add it to LAYERS here and to section 3 of the design"
        assert LAYER[there] <= LAYER[here], f"{here} (layer {LAYER[here]}) imports {there} (layer {LAYER[there]})"
        assert (here, there) not in FORBIDDEN, f"{here} must not import {there}"


def test_imports_are_found_wherever_they_stand():
    source = """
import asradapt.store.names, torch
from asradapt import audio, __version__
if TYPE_CHECKING:
    from asradapt.cli import main
def later():
    from asradapt.models.base import Site
    import asradapt.adaptation as methods
"""
    assert list(imported(source)) == ["store", "audio", "__init__", "models", "adaptation"]
