"""The graph of a document: who reads whom, and the shapes that flow along the edges.

`link` finds sources by name, `flow` carries shapes from the image to the head; both collect every problem. `plan` puts
them together for a document that holds, in the order in which the network runs, and `graph` hands it out for drawing.
"""

from archdsl.graphs.links import Link, Links, link
from archdsl.graphs.shapes import flow
from archdsl.graphs.steps import Step, feature_nodes, graph, plan

__all__ = ["Link", "Links", "Step", "feature_nodes", "flow", "graph", "link", "plan"]
