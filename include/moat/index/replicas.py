"""What several replicas of a chunk come to: they are asked again until they agree.

Weaviate answers with the copy of one replica, also where the others have another copy or do not answer: then it only
marks the object as not consistent. So a copy counts where its mark says that the replicas were compared and agree.

And once its nodes have noticed that others are gone, Weaviate asks for a quorum of those that are left: the last one of
three agrees with itself. So the nodes that are away are counted as well.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from moat.errors import IndexUnavailable
from moat.settings import Settings

PAUSES = (0.2, 0.8, 3.2)  # seconds
Read = Callable[[Sequence[str]], list[tuple[Any, bool]]]  # objects by id, each with whether its replicas agree


def require(settings: Settings, away: Sequence[str]) -> None:
    """Raise IndexUnavailable where so many nodes are away that fewer replicas than MOAT_CONSISTENCY are left of a chunk."""
    needed = settings.replicas if settings.consistency == "all" else settings.replicas // 2 + 1
    if len(away) > settings.replicas - needed:
        raise IndexUnavailable(
            f"{', '.join(away)} of Weaviate's nodes {'are' if len(away) > 1 else 'is'} away: of a chunk's {settings.replicas} "
            f"replicas {needed} must take it and agree (MOAT_CONSISTENCY={settings.consistency}). It goes on when they are back"
        )


def agreed(read: Read, ids: Sequence[str]) -> list[Any]:
    """Read objects whose replicas agree, if need be again; missing ones are left out.

    Raises:
        IndexUnavailable: The replicas of an object do not agree, or too few of them answer.
    """
    found, left = list[Any](), ids
    for pause in (*PAUSES, 0.0):
        there = read(left)
        found += [o for o, agree in there if agree]
        left = [str(o.uuid) for o, agree in there if not agree]
        if not left:
            return found
        time.sleep(pause)
    raise IndexUnavailable(
        f"the replicas of {len(left):,} of {len(ids):,} objects do not agree, or too few of them answer, {left[0]} among "
        "them: do all nodes of Weaviate run?"
    )


def kept(read: Read, ids: Sequence[str], several: bool) -> Sequence[str]:
    """Those of some deleted objects that are still there; of several replicas one that was away learns of it late."""
    left = ids
    for pause in (*PAUSES, 0.0) if several else (0.0,):
        left = [str(o.uuid) for o, _ in read(left)]
        if not left:
            break
        time.sleep(pause)
    return left
