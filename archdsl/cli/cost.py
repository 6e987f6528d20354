"""`archdsl cost`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.cli import output
from archdsl.cli.documents import open_specs
from archdsl.cli.options import Json, Names, Set

if TYPE_CHECKING:
    from archdsl import json_types


def command(specs: Names, assignments: Set = None, as_json: Json = False) -> None:
    """Count the params, MACs and memory of backbones for one image, per node and in total.

    With --json, one SPEC is printed as an object and several as a list; memory is in bytes, in float32. For the costs
    of the networks in a search space, run `archdsl doctor SPACE --no-measure`.

    \b
    Examples:
      archdsl cost litv2_s
      archdsl cost litv2_s lit_s --set image=384 --json
    """
    from archdsl.cost import count

    opened = open_specs(specs, assignments)
    if as_json:
        facts: list[json_types.Json] = [{"name": spec.name, **count(spec).as_json()} for spec in opened]
        return output.result_json(facts[0] if len(facts) == 1 else facts)
    from archdsl.render.console import stdout
    from archdsl.render.tables import cost_table

    for number, spec in enumerate(opened):
        if number:
            output.lines("")
        stdout().print(cost_table(count(spec), spec), soft_wrap=True)
    return None
