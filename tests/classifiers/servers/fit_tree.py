"""Fits a tree with the scikit-learn of a server's environment: python fit_tree.py DATA.npz FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.tree import DecisionTreeClassifier

if __name__ == "__main__":
    data, folder = np.load(sys.argv[1]), Path(sys.argv[2])
    model = DecisionTreeClassifier(min_samples_leaf=5, random_state=0).fit(data["pixels"], data["labels"])
    joblib.dump(model, folder / "model.joblib")
    tree = model.tree_
    values = tree.value[:, 0]
    np.savez(
        folder / "tree.npz",
        left=tree.children_left,
        right=tree.children_right,
        feature=tree.feature,
        threshold=tree.threshold,
        probabilities=values / values.sum(1, keepdims=True),
    )
