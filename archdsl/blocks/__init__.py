"""For packages of block types: the names under which they import what their declarations need.

The entry point of such a package is in the group `archdsl.blocks`.
"""
