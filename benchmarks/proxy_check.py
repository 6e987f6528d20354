"""How well scores rank the shipped CPU space: `python benchmarks/proxy_check.py --networks 32 --macs 15M`.

Runs `archdsl proxy-check` as a user would, from a folder that can be resumed, and adds the command to what it tells.
What is fitted was chosen on two samples, proxy_check_first.json (`--results` of the command above) and
proxy_check_small.json (`--networks 24 --macs 10M --seed 100`). proxy_check.json is of a third one, drawn after that:
`--networks 48 --macs 15M --seed 200 --earlier benchmarks/results/proxy_check_{first,small}.json`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "proxy_check.json"


def main() -> None:
    asked = _arguments()
    options = ["--networks", str(asked.networks), "--seeds", str(asked.seeds), "--epochs", f"{asked.epochs:g}"]
    options += ["--macs-budget", asked.macs, "--device", "cpu", "--threads", str(asked.threads)]
    options += ["--seed", str(asked.seed)] if asked.seed else []
    options += [word for path in asked.earlier for word in ("--from", path)]
    command = ["archdsl", "proxy-check", asked.space, *options, "--json"]
    folder = ["--out", str(asked.out), *(["--resume"] if asked.out.exists() else [])]
    limit = ["--time", asked.time] if asked.time else []
    run = subprocess.run(
        [sys.executable, "-m", "archdsl", *command[1:], *folder, *limit], stdout=subprocess.PIPE, check=False
    )
    result: dict[str, Any] = {
        "what": "archdsl proxy-check on a CPU, from the command line",
        "command": " ".join(command),
    }
    result |= {"exit_code": run.returncode, **json.loads(run.stdout)}
    networks = ",\n  ".join(json.dumps(row) for row in result.pop("networks", []))
    asked.results.write_text(f'{json.dumps(result, indent=1)[:-2]},\n "networks": [\n  {networks}\n ]\n}}\n')


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="lit-dat-64")
    parser.add_argument("--networks", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=float, default=6.0)
    parser.add_argument("--macs", default="15M")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--earlier", nargs="*", default=[], help="results whose networks tell of these too")
    parser.add_argument("--time", help="to end by with what there is")
    parser.add_argument("--out", type=Path, default=Path("runs/proxy-check"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
