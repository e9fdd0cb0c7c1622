"""Causes in the vectors: another model, mixed-up texts, or invalid values."""

from moat.incidents.triage.evidence import Evidence, Signs, signs
from moat.incidents.triage.signature import CLEAR, DOCTOR, FULL, REJECT, ROLLBACK, Signature

CANARIES = r"canar"
DEGENERATE = r"^vectors\.(norm|norm_mad|identical)$"
DRIFT = r"^vectors\.(shift|auc|cosine|hubness)$"
MOVED = r"^(drift of the embedder|one model)$"
ANOTHER = r"^as embedded$"  # staged vectors differ from the ledger's for the same texts


def _other_model(e: Evidence) -> Signs:
    """Vectors changed size or direction, or the model changed."""
    size, canaries, embedder = e.failed(r"dimension"), e.failed(CANARIES), e.failed(MOVED)
    changed = e.changed("model") + e.changed("setting MOAT_MODEL") + e.changed("setting MOAT_EMBEDDER")
    changed += e.changed("package sentence-transformers") + e.changed("package torch")
    drift = e.moved(DRIFT)
    if size:
        return signs(97, size, changed, canaries)
    if canaries:
        return signs(95 if changed else 86 if drift else 74, canaries, changed, drift)
    if embedder:
        return signs(93, embedder, changed, drift)
    if changed and drift:
        return signs(84, changed, drift)
    return signs(57, drift)


def _shuffled(e: Evidence) -> Signs:
    """Single texts get other vectors while their distribution stays: vectors belong to other texts."""
    if swapped := e.failed(r"^order of the embedder$"):
        return signs(96, swapped, e.failed(CANARIES), e.failed(r"^(golden|recall)"))
    canaries, another = e.failed(CANARIES), e.failed(ANOTHER)
    if e.failed(r"dimension"):
        return Signs()
    other = (
        e.failed(MOVED)
        or e.moved(r"^vectors\.(cosine|auc|hubness)$")
        or e.changed("model")
        or e.changed("setting MOAT_MODEL")
    )
    broken = e.failed(r"^(finite|length|identical)$")
    score = 72 if other or broken else 96 if another else 93
    return signs(score, [*another, *canaries], e.failed(r"^(golden|recall)"))


def _degenerate(e: Evidence) -> Signs:
    hard = e.failed(r"^(finite|length|identical)$")
    shifts = e.moved(DEGENERATE)
    return signs(94 if hard else 76, [*hard, *shifts])


VECTORS = (
    Signature("model_mismatch", "The vectors are of another model", _other_model, ("set MOAT_MODEL and MOAT_MODEL_REVISION back", DOCTOR, REJECT, FULL)),
    Signature("vectors_shuffled", "Vectors belong to other texts", _shuffled, ("restart the embedder, and see what stands between it and Moat", REJECT, FULL, ROLLBACK)),
    Signature("vectors_degenerate", "Vectors say nothing: equal, not finite, of no length", _degenerate, ("restart the embedder: its precision or its device gives no numbers", DOCTOR, REJECT, CLEAR)),
)  # fmt: skip
