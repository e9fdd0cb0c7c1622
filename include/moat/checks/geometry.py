"""Geometry of sets of vectors, given as rows of length 1."""

import math

import numpy as np

FOLDS = 5
SEED = 7


def pairwise_cosine(vectors: np.ndarray) -> float:
    """Mean cosine of two different rows, from -1 to 1."""
    n = len(vectors)
    total = vectors.sum(axis=0, dtype=np.float64)
    return float((total @ total - np.square(vectors, dtype=np.float64).sum()) / (n * (n - 1)))


def centroid_shift(vectors: np.ndarray, others: np.ndarray) -> float:
    """1 − cosine of two centroids, from 0 to 2, corrected for small samples.

    The mean of few rows is mostly noise, so its length is computed without the rows' products with
    themselves.
    """
    lengths = max(pairwise_cosine(vectors), 1e-3) * max(pairwise_cosine(others), 1e-3)
    product = float(vectors.mean(axis=0, dtype=np.float64) @ others.mean(axis=0, dtype=np.float64))
    return 1.0 - min(1.0, max(-1.0, product / math.sqrt(lengths)))


def separability(vectors: np.ndarray, others: np.ndarray) -> float:
    """Cross-validated AUC of a linear classifier between two sets: 0.5 none, 1 complete."""
    from sklearn.linear_model import LogisticRegression  # takes seconds to import; only large loads need it
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rows = np.concatenate([vectors, others])
    side = np.concatenate([np.ones(len(vectors)), np.zeros(len(others))])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    model = LogisticRegression(class_weight="balanced", max_iter=500)
    scores = cross_val_predict(model, rows, side, cv=folds, method="decision_function")
    return max(0.5, float(roc_auc_score(side, scores)))


def hubness(vectors: np.ndarray, k: int = 10) -> float:
    """Skewness of the k-occurrence; high if few rows are neighbours of many."""
    near = vectors @ vectors.T
    np.fill_diagonal(near, -2.0)
    nearest = np.argpartition(-near, k, axis=1)[:, :k]
    times = np.bincount(nearest.ravel(), minlength=len(vectors)).astype(np.float64)
    off = times - times.mean()
    spread = float(np.sqrt(np.square(off).mean()))
    return float((off**3).mean() / spread**3) if spread else 0.0
