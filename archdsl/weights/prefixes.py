"""Names in a checkpoint without what wrappers put before and into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"})
"""What parallel training, torch.compile and checkpointing put into names, as a part of its own between dots."""
_COMMON = ("module.", "_orig_mod.", "model.", "backbone.")
"""What stands before the names of networks that do not fit, so that a message names the rest."""
_LONGEST = 12
"""Parts that a prefix may have."""


def matches(names: Iterable[str], wanted: frozenset[str]) -> dict[str, dict[str, str]]:
    """For every prefix under which a wanted name stands, the wanted names there with those that they have.

    A wrapper's part inside a name is seen through, unless the wanted name has it too.
    """
    by_prefix: dict[str, dict[str, str]] = {}
    for name in names:
        parts = name.split(".")
        for start in range(min(len(parts), _LONGEST)):
            rest = ".".join(parts[start:])
            if rest not in wanted:
                rest = unwrapped(rest)
            if rest in wanted:
                prefix = "".join(f"{part}." for part in parts[:start])
                by_prefix.setdefault(prefix, {}).setdefault(rest, name)
    return by_prefix


def unwrapped(name: str) -> str:
    """A name without wrappers' parts but for one in front, which is a prefix."""
    first, *rest = name.split(".")
    return ".".join([first, *(part for part in rest if part not in WRAPPERS)])


def under(names: Iterable[str], prefix: str, matched: Mapping[str, str]) -> dict[str, str]:
    """The names under a prefix, without it and without wrappers' parts, each with the one that it has."""
    taken = {theirs: name for name, theirs in matched.items()}
    names_under = dict(matched)
    for name in names:
        if name.startswith(prefix) and name not in taken:
            rest = name[len(prefix) :]
            plain = unwrapped(rest)
            names_under[rest if plain in names_under else plain] = name
    return names_under


def common(names: Iterable[str]) -> str:
    """What usual wrappers put before every name; where one part is called so, before those of the backbone."""
    rest, prefix = list(names), ""
    while rest:
        shared = next((part for part in _COMMON if all(name.startswith(part) for name in rest)), None)
        if shared is None and any(name.startswith("backbone.") for name in rest):
            shared = "backbone."
        if shared is None:
            break
        rest = [name[len(shared) :] for name in rest if name.startswith(shared)]
        prefix += shared
    return prefix
