"""What names look like, and how a message says it."""

from __future__ import annotations

NAME = r"^[a-z][a-z0-9_.-]{0,63}$"
ID = r"^[a-z][a-z0-9_]*$"
SOURCE = r"^[a-z][a-z0-9_]*(\.[a-z]+)?$"
ARXIV = r"^\d{4}\.\d{4,5}$"
VARIABLE = r"^[a-z][a-z0-9_.]*$"
LABEL = r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$"
DEVICE = r"^(cpu|cuda(:[0-9]{1,3})?)$"

REMEDIES = {
    NAME: "use 1 to 64 lower-case letters, digits, _, . and -, a letter first",
    ID: "use lower-case letters, digits and _, a letter first",
    SOURCE: 'write "stage1", or "stage1.pixels" for one of its ports',
    ARXIV: 'write it as in "2205.13213"',
    VARIABLE: "use lower-case letters, digits, _ and ., a letter first",
    DEVICE: 'write "cpu", "cuda" or "cuda:0"',
    LABEL: "use letters, digits, _, ., + and -, a letter or digit first",
}
"""What to do about a name that does not match."""
