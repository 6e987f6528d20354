"""The figures that the pages print are those of benchmarks/results."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.shown import ROOT


def result(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def verdicts() -> list[str]:
    found = result("verdicts-onnxruntime")
    return [
        f"- {found['readings']} verdicts were computed",
        f": {found['decided']} were decided, {found['as_expected']} of them as expected",
        f"latencies moved by up to {percent(found['furthest_from_the_reading_before'])}",
    ]


def short_searches() -> list[str]:
    found = result("search_cpu_20")
    winners, trained = found["winners_inside"], found["trained_inside"]
    assert winners["share"] == trained["share"] == 1
    runs, again = len(found["runs"]), found["asked"]["again"]
    assert winners["of"] == runs * again
    return [f"all {runs} winners stayed inside 5 ms in {again} further", f"all {trained['of']} networks"]


def ranking() -> list[str]:
    found = result("proxy_check")
    scores, others, short = found["scores"], found["trained"] - 1, found["short"]["4"]
    rows = {
        "params": scores["params"],
        "NASWOT": scores["naswot"],
        "SynFlow": scores["synflow"],
        f"surrogate A: fitted to {found['before']} networks of two earlier checks": found["fitted_after"]["0"],
        f"surrogate B: fitted also to the other {others} networks of this check": scores["fitted"],
        "surrogate C: as B, and it also sees the loss after a fifth of the training": short["beside_scores"],
        "another seed of the full training": found["ceiling"],
    }
    return [f"| {name} | {row['spearman']['value']:.2f} |" for name, row in rows.items()]


def mixtures() -> list[str]:
    found = result("library_ranking")
    every, near = found["agreements"]["mixes"]["all"], found["agreements"]["mixes"]["summed KL below 0.2"]
    assert all(score["networks"] == len(found["rows"]) for name, score in every.items() if name != "second seed")
    low = near["sum of KL"]["networks"]
    rows = [
        f"| {label} | {every[name]['spearman']:.2f} | {near[name]['spearman']:.2f} |"
        for name, label in (
            ("sum of KL", "sum of the blocks' scores"),
            ("untrained loss", "loss before the fine-tuning"),
            ("params", "params"),
            ("MACs", "MACs"),
        )
    ]
    sentence = f"{len(found['rows'])} random mixtures of {found['library']['alternatives']} replacements"
    again, equal = every["second seed"], found["agreements"]["equal latency"]
    refit = {steps: equal[f"refit of {steps} steps"]["spearman"] for steps in (10, 40)}
    assert equal["sum of KL"]["networks"] == len(found["pool"])
    return [
        sentence,
        f"agree at {again['spearman']:.2f} ({again['networks']} of the mixtures)",
        f"{len(found['pool'])} mixtures of about equal predicted latency",
        f"{refit[40]:.2f} with the loss after a refit of 40 steps, {refit[10]:.2f} after one of 10 steps, "
        f"{equal['untrained loss']['spearman']:.2f} with the loss before any training, and "
        f"{equal['sum of KL']['spearman']:.2f} with the sum of the blocks' scores",
        f"fine-tuned for {found['asked']['steps']} steps",
        f"| all {len(found['rows'])} | {low} whose",
        *rows,
    ]


def points() -> list[str]:
    found = result("inherited_ranking")
    every, asked = found["agreements"]["finished from the inheritance"]["all"], found["asked"]
    short = every["63 steps"]
    low, high = short["interval"]
    refit = every["refit of 40 steps"]
    scratch, longer = every["two epochs from scratch"], every["125 steps"]
    seconds = found["cpu_seconds"]
    told = (every["right after inheriting"], longer, refit, scratch, every["params"], every["MACs"])
    assert all(each["networks"] == short["networks"] for each in told)
    return [
        f"{short['networks']} networks of `lit-dat-64`",
        f"refit for {asked['finish_refit']} steps and fine-tuned for {asked['finish_steps']}",
        f"| loss after 63 steps without a refit | {short['spearman']:.2f} ({low:.2f} to {high:.2f} in nine of ten",
        f"| loss after 125 steps without a refit | {longer['spearman']:.2f} |",
        f"| loss right after inheriting | {every['right after inheriting']['spearman']:.2f} |",
        f"| loss after a refit of 40 steps alone | {refit['spearman']:.2f} |",
        f"| loss after two epochs from initial weights | {scratch['spearman']:.2f} |",
        f"takes {seconds['250 steps from scratch'] / seconds['125 steps']:.1f} times as long as 125 steps",
        f"| MACs | {every['MACs']['spearman']:.2f} |",
        f"| params | {every['params']['spearman']:.2f} |",
    ]


def rate() -> list[str]:
    gpu = result("measure_rate_cuda")
    return [
        f"a search in eager measures or rejects {result('measure_rate')['per_minute']:.0f} candidates per minute",
        f"{gpu['provenance']['device_name']} with the runtime `{gpu['asked']['runtime']}` it measures or rejects "
        f"{gpu['per_minute']:.0f} candidates of `{gpu['asked']['space']}` per minute",
        f"; {gpu['asked']['networks']} networks)",
    ]


def samplers() -> list[str]:
    found = result("search_quality")
    tpe, nsga2, free_tpe, free_nsga2, by_hand = (
        found["against"][name]["part_needed"]["archdsl auto"]["evaluations"]
        for name in (
            "Optuna TPE",
            "Optuna NSGA-II",
            "Optuna TPE, repeats free",
            "Optuna NSGA-II, repeats free",
            "by hand",
        )
    )
    hand = len(found["optimisers"]["by hand"]["curves"][0]["shares"])
    return [
        f"{found['networks']} trained networks",
        f"{found['asked']['evaluations']} evaluations and {found['asked']['seeds']} seeds",
        f"| TPE | {percent(tpe)} | {percent(free_tpe)} |",
        f"| NSGA-II | {percent(nsga2)} | {percent(free_nsga2)} |",
        f"{by_hand * hand:.0f} evaluations to match the best of {hand} hand-scaled",
    ]


def beside_the_zoo() -> list[str]:
    found = result("search_and_zoo")
    winner = found["winner"]
    seeds = [training["held_out"] for training in winner["trainings"]]
    best, second = sorted(found["finalists"], key=lambda each: -each["held_out"])[:2]
    return [
        f"reached {percent(winner['held_out'], 1)} on held-out images at {winner['ms']:.1f} ms (mean of three seeds; "
        f"{100 * min(seeds):.1f} to {percent(max(seeds), 1)})",
        f"Of {found['measured']} scaled backbones",
        f"reached {percent(best['held_out'], 1)} at {best['ms']:.1f} ms",
        f"the second best {percent(second['held_out'], 1)} at {second['ms']:.1f} ms",
    ]


def tables() -> list[str]:
    found = result("lut_error")["held_out"]["p50"]
    return [
        f"the mean error on {found['networks']} networks that the table had not seen is {percent(found['mape'], 1)}, "
        f"and the largest {percent(found['worst'])}"
    ]


def counting() -> list[str]:
    assert result("cost_speed")["specs_a_second"]["counted"]["min"] > 1500
    return ["More than 1,500 documents are counted per second"]


def by_hand() -> list[str]:
    found = result("parent_search")
    names = {
        "parent-0": "search with the parent that ships",
        "litv2_s-0.25-2-0": "LITv2-S, a quarter of its widths",
        "litv2_s-0.50-4-0": "LITv2-S, half of its widths",
        "litv2_s-0.33-4-0": "LITv2-S, a third of its widths",
    }
    worst = min(found["compared"]["0"].values(), key=lambda pair: pair["difference"])
    behind = f"{-100 * worst['difference']:.1f} points behind the best of them, with a standard error of"
    earlier = [found["earlier"]["rows"][name] for name in ("parent-0", "no_library-0")]
    return [
        *(
            f"| {label} | {_shortly(found['rows'][name])} | {_params(found['rows'][name])} |"
            for name, label in names.items()
        ),
        f"The search is {behind} {100 * worst['error']:.1f}",
        f"{_shortly(earlier[0], ' at')}, and one with `--library none` with {_shortly(earlier[1], ' at')}",
    ]


def on_digits() -> list[str]:
    found = result("parent_search_digits")
    names = {
        "parent-0": "search with the parent that ships",
        "none-0": "search with `--parent none`",
        "litv2_s-0.25-2-0": "LITv2-S, a quarter of its widths",
        "litv2_s-0.50-4-0": "LITv2-S, half of its widths",
        "litv2_s-0.33-4-0": "LITv2-S, a third of its widths",
    }
    worst = min(found["compared"]["0"].values(), key=lambda pair: pair["difference"])
    parent = found["rows"]["parent-0"]["parent"]["held_out"]
    return [
        f"to {100 * parent['accuracy']:.1f} ± {100 * parent['error']:.1f} %",
        *(
            f"| {label} | {_shortly(found['rows'][name])} | {_params(found['rows'][name])} |"
            for name, label in names.items()
        ),
        f"is {-100 * worst['difference']:.1f} points behind the best rival, with a standard error of "
        f"{100 * worst['error']:.1f}",
    ]


def _shortly(row: Any, between: str = " |") -> str:
    return f"{100 * row['held_out']:.1f} ± {100 * row['error']:.1f} %{between} {row['ms']:.2f} ms"


def _params(row: Any) -> str:
    return f"{row['params'] / 1e6:.2f} M"


def inherited() -> list[str]:
    found, lines = result("inherit"), list[str]()
    for data in ("shapetex", "digits"):
        cells = {row["weights"]: row for row in found["means"] if (row["data"], row["share"]) == (data, 0.5)}
        assert {row["seeds"] for row in cells.values()} == {3}
        plain, refit, scratch = (
            {name: cell for name, cell in cells[arm].items() if isinstance(cell, dict)}
            for arm in ("inherited", "inherited, refit", "from scratch")
        )
        lines += [
            f"| {data}, inherited | {_of(plain, 'untrained', 'epochs_1', 'same_seconds', 'epochs_12')} |",
            f"| {data}, inherited and refit | {_of(refit, 'untrained', 'epochs_1')} | | |",
            f"| {data}, trained from scratch | | {_of(scratch, 'epochs_1', 'same_seconds')} | |",
        ]
    shares = [found["cuts"][f"{data} 0.5"]["latency"] for data in ("shapetex", "digits")]
    parents = [found["parents"][data]["accuracy"] for data in ("shapetex", "digits")]
    taken = f"cut to {percent(shares[0])} and {percent(shares[1])} of their latency"
    return [*lines, f"with {percent(parents[0], 1)} and {percent(parents[1], 1)} on held-out images, {taken}"]


def _of(cells: Any, *names: str) -> str:
    return " | ".join(f"{100 * cells[name]['accuracy']:.1f} ± {100 * cells[name]['error']:.1f} %" for name in names)


def test_the_page_on_speed_has_the_tables_of_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from models_page import PAGE, figures

    assert figures(result("models_cpu")) in PAGE.read_text()


@pytest.mark.parametrize(
    ("page", "figures"),
    [
        ("explanation/what-the-numbers-mean", verdicts),
        ("explanation/what-the-numbers-mean", short_searches),
        ("explanation/what-the-numbers-mean", ranking),
        ("explanation/what-the-numbers-mean", mixtures),
        ("explanation/what-the-numbers-mean", points),
        ("explanation/how-the-search-works", rate),
        ("explanation/how-the-search-works", samplers),
        ("explanation/how-the-search-works", beside_the_zoo),
        ("explanation/how-the-search-works", by_hand),
        ("explanation/how-the-search-works", on_digits),
        ("how-to/examine-a-space", tables),
        ("explanation/from-document-to-network", counting),
        ("how-to/start-from-a-trained-network", inherited),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_page_prints_the_figures_that_were_recorded(page: str, figures: Any) -> None:
    text = " ".join((ROOT / "docs" / f"{page}.md").read_text().split())
    for sentence in figures():
        assert sentence in text
