"""Speaker adaptation for speech recognition.

>>> import asradapt
>>> model = asradapt.load_model()
>>> store = asradapt.SpeakerStore()
>>> transcriber = asradapt.Transcriber(model, store)
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers know the name; `typing` itself would take time before Ctrl-C is looked after
if TYPE_CHECKING:
    from typing import Any

    from asradapt.enrolment import EnrolmentOptions, enroll, enroll_untranscribed
    from asradapt.evaluation import evaluate
    from asradapt.held import from_samples
    from asradapt.models import load_model
    from asradapt.store import SpeakerStore
    from asradapt.transcriber import Transcriber
    from asradapt.types import Utterance

__version__ = "0.1.0"
__all__ = [
    "EnrolmentOptions",
    "SpeakerStore",
    "Transcriber",
    "Utterance",
    "__version__",
    "enroll",
    "enroll_untranscribed",
    "evaluate",
    "from_samples",
    "load_model",
]

# Names are imported on first use: torch takes seconds, and `asradapt --help` must not wait for it.
_HOMES = {
    "EnrolmentOptions": "asradapt.enrolment",
    "SpeakerStore": "asradapt.store",
    "Transcriber": "asradapt.transcriber",
    "Utterance": "asradapt.types",
    "enroll": "asradapt.enrolment",
    "enroll_untranscribed": "asradapt.enrolment",
    "evaluate": "asradapt.evaluation",
    "from_samples": "asradapt.held",
    "load_model": "asradapt.models",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'asradapt' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
