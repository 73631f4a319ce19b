"""What scikit-learn takes for the work that measure.pl measures of Reyearn. Usage:

    peers.py predict TRAIN TEST    documents a second of CPU, trained on one file and predicting the other
    peers.py train TRAIN           documents a second of training, and a second of its CPU

Files are those of fastText: __label__LABEL, a space, a text, a line each. Prints the numbers.
"""

import statistics
import sys
import time

from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline


def read(path):
    with open(path, encoding="utf-8") as file:
        labels, texts = zip(*(line.rstrip("\n").split(" ", 1) for line in file))
    return labels, texts


def medians(repetitions, work):
    """Seconds that pass, and seconds of CPU."""
    clocks = (time.perf_counter, time.process_time)
    rounds = []
    for _ in range(repetitions):
        start = [clock() for clock in clocks]
        work()
        rounds.append([clock() - begin for clock, begin in zip(clocks, start)])
    return [statistics.median(column) for column in zip(*rounds)]


def main():
    mode, *paths = sys.argv[1:]
    labels, texts = read(paths[0])
    pipeline = make_pipeline(CountVectorizer(), TfidfTransformer(), MultinomialNB())
    if mode == "train":
        elapsed, cpu = medians(3, lambda: pipeline.fit(texts, labels))
        print(len(texts) / elapsed, len(texts) / cpu)
    else:
        pipeline.fit(texts, labels)
        _, texts = read(paths[1])
        _, cpu = medians(9, lambda: pipeline.predict(texts))
        print(len(texts) / cpu)


main()
