"""Compares what Reyearn predicted and measured with scikit-learn. Called by 051_parity.pl; usage:

    051_parity.py predictions FILE    labels and probabilities of a model trained with holdout 0
    051_parity.py holdout FILE        the metrics of a model trained with a holdout and without refit

FILE has one JSON value a line: first the run as an object; then, for each text that the model learned, the array
[label, text, hash]; then null; then what the model predicts:
    predictions    [text, label, {label: probability}] for each text of the test set
    holdout        [hash, label, predicted label, probability of the first label] for each text that it learned
Prints one fact a line: name and value, parted by a tab.
"""

import json
import re
import sys
import unicodedata

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

MASK = (1 << 64) - 1
FOLDS = 5
# How the names of their characters begin; the first four are Han.
SCRIPTS_WITHOUT_SPACES = ("CJK ", "KANGXI ", "IDEOGRAPHIC ", "HANGZHOU ", "HIRAGANA ", "KATAKANA ", "THAI ", "LAO ",
                          "KHMER ", "MYANMAR ")


def xxh3(digest, seed=0):
    """XXH3-64 of 32 bytes, by which texts are held out and divided into folds."""
    secret = bytes.fromhex("b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f")
    total = 32 * 0x9E3779B185EBCA87
    for at in (0, 16):
        low, high, first, second = (
            int.from_bytes(source[at + half : at + half + 8], "little") for source in (digest, secret) for half in (0, 8)
        )
        product = (low ^ (first + seed & MASK)) * (high ^ (second - seed & MASK))
        total += (product & MASK) ^ (product >> 64)
    total &= MASK
    total = (total ^ total >> 37) * 0x165667919E3779F9 & MASK
    return total ^ total >> 32


def words(text):
    return re.findall(r"\b\w\w+\b", text)


def is_tokenized_differently(text):
    """Whether Reyearn's words of the text may differ from those of CountVectorizer.

    They do when NFKC with full case folding gives something else than lower case; at marks and invisible characters,
    which Reyearn makes part of the word they follow; and in scripts without spaces, which it divides.
    """
    if text.isascii():
        return False
    for character in text:
        if unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf"):
            return True
        if unicodedata.name(character, "").startswith(SCRIPTS_WITHOUT_SPACES):
            return True
    folded = [unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold()) for word in words(text)]
    return folded != words(text.lower())


def pipeline(params):
    counts = CountVectorizer(ngram_range=tuple(params["ngram_range"]), min_df=params["min_df"])
    return make_pipeline(counts, TfidfTransformer(), MultinomialNB(alpha=params["alpha"]))


def fact(name, value):
    print(name, value, sep="\t")


def facts_of_metrics(run, metrics):
    for name, value in metrics.items():
        fact(f"{name} differs by", abs(run["metrics"][name] - value))


def measure(actual, predicted, probability_of_truth):
    """What sklearn.metrics says; log_loss clips as Reyearn documents it."""
    whether_true = np.column_stack([1 - probability_of_truth, probability_of_truth])
    return {
        "accuracy": accuracy_score(actual, predicted),
        "macro_f1": f1_score(actual, predicted, average="macro"),
        "micro_f1": f1_score(actual, predicted, average="micro"),
        "log_loss": log_loss(np.ones(len(actual)), whether_true, labels=[0, 1], eps=1e-15),
    }


def compare_predictions(run, learned, rows):
    labels, texts, _ = zip(*learned)
    model = pipeline(run["params"]).fit(texts, labels)
    test_texts = [row[0] for row in rows]
    fact("texts learned", len(texts))
    fact("texts learned that are tokenized differently", sum(map(is_tokenized_differently, texts)))
    excepted = np.array([is_tokenized_differently(text) for text in test_texts])
    for text in np.array(test_texts, object)[excepted]:
        fact("excepted", json.dumps(text))
    fact("texts predicted", len(rows))
    fact("texts excepted", int(excepted.sum()))

    expected = model.predict_log_proba(test_texts)
    order = [list(model.classes_).index(label) for label in rows[0][2]]
    found = np.array([list(probabilities.values()) for _, _, probabilities in rows])
    fact("texts without a probability for each class", sum(list(row[2]) != list(rows[0][2]) for row in rows))
    fact("classes", found.shape[1] if sorted(order) == list(range(len(model.classes_))) else "differ")
    # A float4 has its full precision down to 1.2e-38; above, rounding to it moves a logarithm by 6e-8 at most.
    fact("probabilities too small for a float4", int((found < 1.2e-38).sum()))
    with np.errstate(divide="ignore"):
        fact("log probability differs by", np.abs(np.log(found) - expected[:, order])[~excepted].max())

    highest = np.sort(expected, axis=1)
    ties = highest[:, -1] - highest[:, -2] < 1e-9
    other = model.classes_[expected.argmax(axis=1)] != np.array([row[1] for row in rows])
    fact("ties", int(ties.sum()))
    fact("other labels but for ties", int((other & ~ties & ~excepted).sum()))


def compare_cross_validation(run, learned):
    """The run's metrics, as scikit-learn gets them on the same folds with its own models."""
    if run["compared_by"] != "cross_validation":
        return
    seed = run["params"]["seed"] + 1
    order = sorted(range(len(learned)), key=lambda i: (learned[i][0], xxh3(learned[i][2], seed), learned[i][2]))
    fold = np.empty(len(learned), int)
    fold[order] = np.arange(len(learned)) % FOLDS
    labels = np.array([row[0] for row in learned])
    texts = np.array([row[1] for row in learned], object)
    predicted = np.empty_like(labels)
    probability_of_truth = np.zeros(len(learned))
    for k in range(FOLDS):
        test = np.flatnonzero(fold == k)
        model = pipeline(run["params"]).fit(texts[fold != k], labels[fold != k])
        probabilities = model.predict_proba(texts[test])
        predicted[test] = model.classes_[probabilities.argmax(axis=1)]
        column = {label: i for i, label in enumerate(model.classes_)}
        for at, one in zip(test, probabilities):
            if labels[at] in column:    # else no text of the class is in the other folds
                probability_of_truth[at] = one[column[labels[at]]]
    fact("compared on", len(learned) - run["compared_on"])
    facts_of_metrics(run, measure(labels, predicted, probability_of_truth))


def compare_holdout(run, learned, rows):
    """The run's metrics, as scikit-learn computes them from the predictions of the version, which is its own judge."""
    held_out = [row for row in rows if xxh3(bytes.fromhex(row[0])) < run["params"]["holdout"] * 2**64]
    fact("compared on", len(held_out) - run["compared_on"])
    _, actual, predicted, probability_of_truth = zip(*held_out)
    facts_of_metrics(run, measure(actual, predicted, np.array(probability_of_truth)))


def main():
    mode, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        run, *values = map(json.loads, file)
    end = values.index(None)
    learned = [(label, text, bytes.fromhex(digest)) for label, text, digest in values[:end]]
    rows = values[end + 1 :]
    if mode == "predictions":
        compare_predictions(run, learned, rows)
        compare_cross_validation(run, learned)
    else:
        compare_holdout(run, learned, rows)


main()
