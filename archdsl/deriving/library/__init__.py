"""A parent's library: alternatives to its blocks, fitted once, each with what it does to the parent's output.

`building` fits and scores, with the parent's activations by `activations`, one block by `blocks`, and its score by
`scoring`. `folder` is what lies on disk, read without torch; `derived` assembles networks of fitted blocks.
"""
