"""What several replicas of a chunk come to: they are asked again until they agree.

Weaviate answers with the copy of one replica, also where the others have another copy or do not answer: then it only
marks the object as not consistent. So a copy counts where its mark says that the replicas were compared and agree.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from moat.errors import IndexUnavailable

PAUSES = (0.2, 0.8, 3.2)  # seconds
Read = Callable[[Sequence[str]], list[tuple[Any, bool]]]  # objects by id, each with whether its replicas agree


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
