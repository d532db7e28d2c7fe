"""Planted label errors: what `finetune check` names, beside cleanlab on the same probabilities.

    labels.py FINETUNE --data FOLDER… [--base FILE] [--seeds 5] [--fractions 0.02,0.1]

Each data set is a folder of class folders. A fraction of its labels, drawn by the seed, is exchanged for another class in a
table of all images; `check` reads the table. The same features go through scikit-learn's logistic regression with the same
penalty and folds, and its probabilities to cleanlab. The first line of a data set has no planted error. Precision is that
of the first k images named, k the number planted; of fewer, if fewer are named. "ranked" goes on below a probability of one
half: the first k of all images, in the order of finetune's rule applied to the same probabilities as cleanlab's.
"""
import argparse
import csv
import json
import os
import subprocess
import tempfile

import cleanlab
import numpy as np
import sklearn
from cleanlab.filter import find_label_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("finetune")
parser.add_argument("--data", nargs="+", required=True)
parser.add_argument("--base")
parser.add_argument("--limit", help="as finetune's --limit: images of each data set")
parser.add_argument("--seeds", type=int, default=5)
parser.add_argument("--fractions", default="0.02,0.1")
options = parser.parse_args()
program = os.path.abspath(options.finetune)
shared = (["--base", options.base] if options.base else []) + ["--precision", "fp32"]


def finetune(*arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def held_out(features, labels):
    rows = StandardScaler().fit_transform(features)
    probabilities = np.zeros((len(labels), labels.max() + 1))
    for train, test in StratifiedKFold(5).split(rows, labels):
        head = LogisticRegression(C=0.01, max_iter=1000, tol=1e-6).fit(rows[train], labels[train])
        probabilities[np.ix_(test, head.classes_)] = head.predict_proba(rows[test])
    return probabilities


print(f"cleanlab {cleanlab.__version__}, scikit-learn {sklearn.__version__}")
print("data                  images  planted  accuracy  named  right  first k  ranked   cleanlab: named  right  first k")
with tempfile.TemporaryDirectory() as folder:
    for data in options.data:
        archive, table = f"{folder}/features.npz", f"{folder}/labels.csv"
        finetune("extract", "--data", data, "--out", archive, *shared, *(["--limit", options.limit] if options.limit else []))
        arrays = np.load(archive)
        features, truth, paths = arrays["features"], arrays["labels"].astype(int), [str(p) for p in arrays["paths"]]
        names = [str(c) for c in arrays["classes"]]
        place = {path: i for i, path in enumerate(paths)}
        for fraction in [0.0] + [float(f) for f in options.fractions.split(",")]:
            totals, seeds = [], range(options.seeds if fraction else 1)
            for seed in seeds:
                rng = np.random.default_rng(seed)
                labels, k = truth.copy(), round(fraction * len(truth))
                for i in rng.choice(len(truth), k, replace=False):
                    labels[i] = rng.choice([c for c in range(len(names)) if c != truth[i]])
                wrong = labels != truth
                with open(table, "w", newline="") as file:
                    writer = csv.writer(file)
                    writer.writerow(["path", "label"])
                    writer.writerows((os.path.abspath(os.path.join(data, p)), names[l]) for p, l in zip(paths, labels))
                found = json.loads(finetune("check", "--data", table, "--json", *shared).splitlines()[-1])
                ours = [place[os.path.relpath(f["paths"][0], os.path.abspath(data))]
                        for f in found["findings"] if f["kind"] == "label-error"]
                probabilities = held_out(features, labels)
                theirs = find_label_issues(labels, probabilities, filter_by="confident_learning",
                                           return_indices_ranked_by="self_confidence", n_jobs=1)
                softened = probabilities ** (1 / found["labels"]["temperature"])
                own = softened[np.arange(len(labels)), labels] / softened.sum(axis=1)
                ranked = np.argsort(own, kind="stable")[:k]
                count = lambda named: [len(named), sum(wrong[i] for i in named), sum(wrong[i] for i in list(named)[:k]),
                                       min(k, len(named))]
                totals.append([k, found["labels"]["accuracy"], *count(ours), *count(theirs), sum(wrong[ranked])])
            mean = np.mean(totals, axis=0)
            precision = lambda hits, named: f"{hits / named:7.2f}" if named else "      –"
            print(f"{os.path.basename(os.path.normpath(data)):20s} {len(truth):7d} {mean[0]:8.0f} {mean[1]:9.3f} {mean[2]:6.1f} "
                  f"{mean[3]:6.1f} {precision(mean[4], mean[5])} {precision(mean[10], mean[0])} {mean[6]:17.1f} {mean[7]:6.1f} {precision(mean[8], mean[9])}",
                  flush=True)
