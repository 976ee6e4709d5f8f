"""Which classifier, with which settings, reads handwritten digits best? The winner among the linear ones is kept."""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from redun import task
from redun.value import register_adapter

redun_namespace = "redun.examples.digits"

STRENGTHS = [0.01, 0.1, 1.0, 10.0]
NEIGHBOURS = [1, 3, 5]
TREES = [20, 100]


@dataclass
class Data:
    """Pictures of 8 by 8 pixels, a row each, and which digits they are."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


@dataclass
class Score:
    model: str
    setting: float
    errors: int


def scaled(pictures: np.ndarray) -> np.ndarray:
    """Brings brightness to 0..1: distances and linear models want it, trees do not care."""
    return pictures / 16


def errors(model, pictures: np.ndarray, labels: np.ndarray) -> int:
    return int((model.predict(pictures) != labels).sum())


@task()
def data() -> Data:
    digits = load_digits()
    train, test, train_labels, test_labels = train_test_split(digits.data, digits.target, random_state=0)
    return Data(train, train_labels, test, test_labels)


@task()
def fitted(d: Data, strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=5000).fit(scaled(d.train), d.train_labels)


@task()
def linear(d: Data, model: LogisticRegression) -> Score:
    return Score("linear", model.C, errors(model, scaled(d.test), d.test_labels))


@task()
def neighbours(d: Data, k: int) -> Score:
    model = KNeighborsClassifier(k).fit(scaled(d.train), d.train_labels)
    return Score("neighbours", k, errors(model, scaled(d.test), d.test_labels))


@task()
def forest(d: Data, trees: int) -> Score:
    model = RandomForestClassifier(trees, random_state=0).fit(d.train, d.train_labels)
    return Score("forest", trees, errors(model, d.test, d.test_labels))


@task()
def ranking(scores: list[Score]) -> list[str]:
    return [f"{s.model}({s.setting:g})" for s in sorted(scores, key=lambda s: (s.errors, s.model, s.setting))]


@task()
def main() -> list[str]:
    d = data()
    scores = [linear(d, fitted(d, strength)) for strength in STRENGTHS]
    scores += [neighbours(d, k) for k in NEIGHBOURS]
    scores += [forest(d, trees) for trees in TREES]
    return ranking(scores)


# What a fitted model is, as plain values: so that it can be stored, looked at, and handed to another process, and
# that nothing needs to be unpickled. The numbers are arrays of numpy, which redun knows.


def _state(model: LogisticRegression) -> dict:
    return {"params": model.get_params(), "coef": model.coef_, "intercept": model.intercept_, "classes": model.classes_}


def _model(state: dict) -> LogisticRegression:
    model = LogisticRegression(**state["params"])
    model.coef_, model.intercept_, model.classes_ = state["coef"], state["intercept"], state["classes"]
    return model


register_adapter(LogisticRegression, "examples.digits.LogisticRegression", encode=_state, decode=_model)
