"""To and from other people's formats: LoRA folders of PEFT, and whole models with an adaptation merged in."""

from __future__ import annotations

from asradapt.interchange.merged_folder import write_merged
from asradapt.interchange.merging import merged_weights
from asradapt.interchange.peft_folder import import_peft, write_peft
from asradapt.interchange.writing import Written

__all__ = ["Written", "import_peft", "merged_weights", "write_merged", "write_peft"]
