"""The page that asks as somebody else: what they find, by which rule, and what a second person finds that they do not."""

from typing import Any

from moat.connections import Connections
from moat.ledger import Ledger, audit
from moat.pages.asked import AskedAs
from moat.pages.person import Person
from moat.search.explain_access import Why, why
from moat.settings import Settings


def answer(ledger: Ledger, settings: Settings, connections: Connections, who: Person, asked: AskedAs) -> dict[str, Any]:
    """Search as one or two askers; the look is recorded before anything is asked.

    Args:
        ledger: The tenant's ledger.
        settings: Settings that lead to Weaviate and the embedder.
        connections: For an embedder that is an endpoint.
        who: Who looks; hits of sources that they may not see are counted, not shown.
        asked: The askers and the question.

    Raises:
        LedgerError: The look cannot be recorded, so nothing is asked.
    """
    from moat.retrieve import Retriever

    askers = [asked.asker, *([asked.other] if asked.other else [])]
    with ledger.write() as connection:
        for asker in askers:
            detail = {"mode": asked.mode, "limit": asked.limit}  # the question may itself be a secret
            audit.record(connection, ledger.tenant, who.name, "asked as", subject=asker, detail=detail)
    found = {}
    with Retriever.from_settings(settings, connections) as retriever:
        for asker in askers:
            found[asker] = retriever.search(asked.question, asker, asked.limit, asked.mode)
    documents = {asker: {(hit.source, hit.document_key) for hit in hits} for asker, hits in found.items()}
    told = []
    for asker, hits in found.items():
        seen = [hit for hit in hits if who.sees(hit.source)]
        rules = {one: why(ledger, one, asker, settings).reason for one in {(h.source, h.document_key) for h in seen}}
        elsewhere = set().union(*documents.values()) - documents[asker]
        told.append(
            {
                "asker": asker,
                "refused": hits.refused,
                "not_shown": len(hits) - len(seen),
                "hits": [
                    {
                        "source": hit.source,
                        "key": hit.document_key,
                        "title": hit.title,
                        "heading": " › ".join(hit.heading_path),
                        "page": hit.page,
                        "text": hit.text,
                        "score": hit.score,
                        "by": rules[hit.source, hit.document_key],
                    }
                    for hit in seen
                ],
                "missing": [_rule(why(ledger, one, asker, settings)) for one in sorted(elsewhere) if who.sees(one[0])],
            }
        )
    return {"askers": told}


def rule(ledger: Ledger, settings: Settings, who: Person, source: str, *, key: str, asker: str) -> dict[str, Any]:
    """Why one document is or is not for somebody; the look is recorded."""
    with ledger.write() as connection:
        audit.record(connection, ledger.tenant, who.name, "asked why", asker, detail={"source": source, "key": key})
    return _rule(why(ledger, (source, key), asker, settings))


def _rule(found: Why) -> dict[str, Any]:
    return {
        "source": found.source,
        "key": found.key,
        "asker": found.asker,
        "state": found.state,
        "readable": found.readable,
        "reason": found.reason,
        "layers": [
            {"any_of": list(layer.any_of), "by": [" → ".join(chain) for chain in layer.by[:3]]}
            for layer in found.layers
        ],
        "deny": [" → ".join(chain) for chain in found.deny],
    }
