"""Put a pre-finetuned checkpoint, and what is known of how its encoder was distilled, in the package as `mini`.

python examples/mini/package.py run/checkpoints/mini-all/… students/distilled-all src/voicefit/mini
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

from voicefit.checkpoints.checkpoint import halve_weights
from voicefit.checkpoints.record import PRIOR, RECORD
from voicefit.export.encoder import add_graph
from voicefit.system.files import new_directory, write_json, write_text

TERMS = {
    "unrestricted": "{licence}",
    "non-commercial": "{licence}: no commercial use",
    "research": "{licence}: research only",
    "unknown": "no terms stated, which is no permission",
}
"""What a corpus's licence comes to, by its usage."""


def describe_terms(corpora: list[dict[str, str]]) -> str:
    """One sentence with every corpus and its terms."""
    *most, last = [f"{corpus['title']} ({TERMS[corpus['usage']].format_map(corpus)})" for corpus in corpora]
    return f"It learnt from {' and '.join([', '.join(most), last] if most else [last])}."


def main() -> None:
    """Copy, halve the weights, and write the graph, the card and the checksums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, what in (("checkpoint", "pre-finetuned"), ("student", "that it was made of"), ("out", "folder to write")):
        parser.add_argument(name, type=Path, help=what)
    arguments = parser.parse_args()
    record = json.loads((arguments.checkpoint / RECORD).read_text())
    distilled = json.loads((arguments.student / "distillation.json").read_text())
    distilled |= {
        "teacher": Path(distilled["teacher"]).name.removesuffix("-encoder-5s"),
        "student": Path(distilled["student"]).name,
    }
    record |= {"source": arguments.student.name, "distillation": distilled | {"left_out": len(distilled["left_out"])}}
    record["terms"] = describe_terms(record["corpora"])
    for corpus in record["corpora"]:
        corpus["left_out"] = len(corpus["left_out"])
    with new_directory(arguments.out) as folder:
        for name in ("config.json", "model.safetensors", "preprocessor_config.json", PRIOR):
            shutil.copy(arguments.checkpoint / name, folder / name)
        halve_weights(folder)
        write_json(folder / RECORD, record)
        add_graph(folder)
        write_text(folder / "README.md", card(record))
        sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in sorted(folder.iterdir())]
        write_text(folder / "SHA256SUMS", "\n".join(sums) + "\n")


def card(record: dict) -> str:
    """The model card."""
    distilled = record["distillation"]
    corpora = "\n".join(
        f"| {corpus['title']} | {corpus['language']} | {corpus['train_clips'] + corpus['validation_clips']} "
        f"| {', '.join(corpus['labels'])} | {corpus['licence']} ({corpus['usage']}) |"
        for corpus in record["corpora"]
    )
    return f"""---
library_name: transformers
pipeline_tag: audio-classification
tags: [speech-emotion-recognition, few-shot, voicefit, whisper]
---
# mini: the model that comes with Voicefit

A Whisper encoder of one layer that hears 4 s. It began as the first layer of `{distilled["teacher"]}`
(OpenAI, MIT), and was distilled on {distilled["hours"]:.1f} hours of speech without labels: it learnt to predict
the teacher's second layer too. Its heads are pre-finetuned on the corpora below.
`voicefit adapt my-clips --out my-model` begins at it.

**Terms.** {record["terms"]} The weights derive from these recordings: the strictest of their terms apply to what
you do with them.

| corpus | language | clips | labels | licence |
|---|---|---|---|---|
{corpora}

It also heard synthetic speech, by espeak-ng and flite, in about a hundred languages. How it was made, command by
command: docs/how-to/make-the-mini.md in Voicefit's repository; how good it is: research/mini.md.

## Intended and unintended use

A starting point for one voice's own model, on a laptop, a phone or in a browser. All that it learnt emotion from is
*acted*: the output says how a voice sounds, not what a person feels. Do not use it to judge, rank, hire, monitor or
diagnose people.
"""


if __name__ == "__main__":
    main()
