"""The table of published backbones in docs/reference/zoo.md: `python benchmarks/zoo_table.py [--run]`.

With --run every classifier that has a golden output of the published code (tests/golden/) is built, given the golden
weights and images, and its largest differences are written to benchmarks/results/exactness.json; minutes on two cores.
Without it the table is made anew from that file. Params and MACs are computed, what a paper prints is said to be.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from archdsl.latency.provenance import cpu_name

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from tests.support.goldens import Golden

RESULTS = ROOT / "benchmarks" / "results" / "exactness.json"
DOCS = ROOT / "docs" / "reference" / "zoo.md"

THROUGHPUT = {"litv2_s": 1471, "litv2_m": 812, "litv2_b": 602, "litv2_b_384": 198}
"""Images a second on an RTX 3090 at batch 64, printed in the README of LITv2; the others print none."""

TOP = """# Published backbones

The zoo has all variants of six papers:

{families}

Each variant is a document in `specs/` and a name on the command line: `archdsl show litv2_s`.

| name | image | params | params, printed | MACs | MACs, printed | top-1 % | img/s | float64 | float32 |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""

BOTTOM = """
- *params* and *MACs* (of one image) are computed from closed formulas, which the tests compare with the built networks.
- *printed*, *top-1 %* (on ImageNet) and *img/s* (images per second on an RTX 3090 at batch 64) are the authors'
  figures. A dash means that they print none, or that the figure was not at hand.
- *float64* and *float32* are the largest differences between the logits of archdsl and those of the published code,
  given the same weights and two images, divided by the largest logit. A dash means that no output of the published
  code is stored in `tests/golden`.

Remarks:

{notes}
`python benchmarks/zoo_table.py` writes this page from `benchmarks/results/exactness.json`, which `--run` wrote on
{date} with torch {torch} on {machine}.
"""


def differences() -> dict[str, Any]:
    """The largest differences of every golden network, as shares of the largest expected value."""
    from tests.support.places import GOLDEN

    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(GOLDEN.glob("*.npz")):
        if "zoo" not in json.loads(path.with_suffix(".json").read_text()):  # single modules, which the tests hold
            continue
        row = rows[path.stem] = of_golden(path.stem)
        errors = (f"{name} {value:.1e}" for name, value in row.items() if isinstance(value, float))
        print(f"{path.stem:28}", *errors, sep="  ", flush=True)
    return {
        "date": datetime.date.today().isoformat(),
        "torch": torch.__version__,
        "machine": cpu_name(),
        "goldens": rows,
    }


def of_golden(name: str) -> dict[str, Any]:
    """The largest differences of one golden network, with the spec that it belongs to."""
    from tests.support.goldens import read_golden

    golden = read_golden(name)
    row = {"spec": golden.facts["zoo"], "overrides": golden.facts["overrides"]}
    with torch.inference_mode():
        return row | (_of_logits(golden) if "logits64" in golden.arrays else _of_last_map(golden))


def _of_logits(golden: Golden) -> dict[str, float]:
    model, images = golden.model(), golden.images()
    expected = torch.from_numpy(golden.arrays["logits64"])
    double = _share(model(images.double()), expected)
    return {"float64": double, "float32": _share(model.float()(images), expected)}


def _of_last_map(golden: Golden) -> dict[str, float]:
    """Of dense prediction's form, whose maps are stored in float32; of some for the first image alone."""
    last = golden.model(features_only=True).float()(golden.images())[-1]
    if "stage4" in golden.arrays:
        return {"last_map": _share(last, torch.from_numpy(golden.arrays["stage4"]))}
    return {"last_map": _share(last[0], torch.from_numpy(golden.arrays["level4_image0"]))}


def _share(outputs: torch.Tensor, expected: torch.Tensor) -> float:
    return float((outputs - expected).abs().max() / expected.abs().max())


def table(results: dict[str, Any]) -> str:
    """The text of docs/reference/zoo.md."""
    from archdsl import load_spec, zoo

    specs = [load_spec(name) for name in zoo.names()]
    titles = dict.fromkeys(
        f"- {spec.paper.title} ([arXiv:{spec.paper.arxiv}](https://arxiv.org/abs/{spec.paper.arxiv}))"
        for spec in specs
        if spec.paper
    )
    notes = [f"- {spec.name}: {spec.paper.note}" for spec in specs if spec.paper and spec.paper.note]
    others = [_other(name, row) for name, row in results["goldens"].items() if name != row["spec"]]
    return (
        TOP.format(families="\n".join(titles))
        + "\n".join(_row(spec, results["goldens"].get(spec.name)) for spec in specs)
        + "\n"
        + BOTTOM.format(notes="\n".join([*notes, *others]) + "\n" if notes or others else "", **_provenance(results))
    )


def _other(name: str, row: dict[str, Any]) -> str:
    """A golden network that has no row of its own: other images or options, or the form for dense prediction."""
    what = " ".join([row["spec"], *row["overrides"]])
    if "last_map" in row:
        return f"- {name}: the last map of {what}, built for dense prediction, differs by {_small(row['last_map'])}."
    return f"- {name}: {what} differs by {_small(row['float64'])} in float64."


def _row(spec: Any, golden: dict[str, Any] | None) -> str:
    from archdsl import count

    counted, paper = count(spec), spec.paper
    cells = [
        spec.name,
        "x".join(str(side) for side in dict.fromkeys(spec.image_size)),
        f"{counted.params:,}",
        f"{paper.params / 1e6:g} M" if paper and paper.params else "-",
        f"{counted.macs / 1e9:.3f} G",
        f"{paper.gmacs:.1f} G" if paper and paper.gmacs else "-",
        f"{paper.imagenet_top1:.1f}" if paper and paper.imagenet_top1 else "-",
        f"{THROUGHPUT[spec.name]:,}" if spec.name in THROUGHPUT else "-",
        _small(golden["float64"]) if golden else "-",
        _small(golden["float32"]) if golden else "-",
    ]
    return f"| {' | '.join(cells)} |"


def _small(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-")


def _provenance(results: dict[str, Any]) -> dict[str, str]:
    return {key: results[key] for key in ("date", "torch", "machine")}


def main() -> None:
    """Run the goldens if asked, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="compare with the golden outputs anew")
    if parser.parse_args().run:
        RESULTS.write_text(json.dumps(differences(), indent=1) + "\n")
    DOCS.parent.mkdir(exist_ok=True)
    DOCS.write_text(table(json.loads(RESULTS.read_text())))
    print(f"wrote {DOCS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
