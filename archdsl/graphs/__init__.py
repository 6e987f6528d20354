"""The graph of a document: who reads whom, and the shapes that flow along the edges.

`link` finds sources by name, `flow` carries shapes from the image to the head; both collect every problem. `plan` puts
them together for a document that holds, in the order in which the network runs, `graph` hands it out for drawing, and
`runs` says what is kept for how long.
"""

from archdsl.graphs.runs import Port, Run, runs
from archdsl.graphs.steps import Step, feature_nodes, graph, map_steps, plan
from archdsl.language.checking.links import Link, Links, link
from archdsl.language.checking.shape_flow import flow

__all__ = [
    "Link",
    "Links",
    "Port",
    "Run",
    "Step",
    "feature_nodes",
    "flow",
    "graph",
    "link",
    "map_steps",
    "plan",
    "runs",
]
