"""The graph of a document: who reads whom, and the shapes that flow along the edges.

`link` finds sources by name, `flow` carries shapes from the image to the head; both collect every problem. `plan` gives
the steps of a document that holds in the order in which the network runs, `graph` hands them out for drawing, and
`schedule` says what is kept for how long, and `steps_for` what some of its steps need.
"""

from archdsl.graphs.schedule import Port, ScheduledStep, schedule, steps_for
from archdsl.graphs.steps import graph, map_steps, plan
from archdsl.language.checking.links import Link, Links, link
from archdsl.language.checking.shape_flow import flow
from archdsl.language.plan import Step

__all__ = [
    "Link",
    "Links",
    "Port",
    "ScheduledStep",
    "Step",
    "flow",
    "graph",
    "link",
    "map_steps",
    "plan",
    "schedule",
    "steps_for",
]
