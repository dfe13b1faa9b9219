"""Optuna's side of bench/search_test.go: a study over a space that is given, its objective computed by functions that
are the same as over there. main() of peers.py calls study()."""

import math

import numpy as np


def sphere(x):
    return float(np.sum(np.square(x)))


def rosenbrock(x):
    return float(sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1)))


def ackley(x):
    n = len(x)
    return float(
        -20 * math.exp(-0.2 * math.sqrt(sum(v * v for v in x) / n))
        - math.exp(sum(math.cos(2 * math.pi * v) for v in x) / n)
        + 20
        + math.e
    )


def rastrigin(x):
    return float(10 * len(x) + sum(v * v - 10 * math.cos(2 * math.pi * v) for v in x))


def branin(x):
    a, b = x
    return float((b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10)


HARTMANN_A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
HARTMANN_P = [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
]


def hartmann6(x):
    alpha = [1.0, 1.2, 3.0, 3.2]
    return float(-sum(w * math.exp(-sum(A * (v - P) ** 2 for A, v, P in zip(a, x, p))) for w, a, p in zip(alpha, HARTMANN_A, HARTMANN_P)))


def tree(params):
    """A learner's loss as it may look: a choice that decides which other parameters there are, one of them logarithmic."""
    if params["booster"] == "linear":
        return 0.4 + 0.05 * (math.log10(params["l2"]) + 1) ** 2
    loss = 0.3 + 0.1 * (math.log10(params["eta"]) + 1.5) ** 2 + 0.004 * (params["depth"] - 7) ** 2
    if params["booster"] == "dart":
        loss += 0.02 + (params["drop"] - 0.1) ** 2
    return loss


FUNCTIONS = {"sphere": sphere, "rosenbrock": rosenbrock, "ackley": ackley, "rastrigin": rastrigin, "branin": branin, "hartmann6": hartmann6}


def study(name, space, seeds, trials):
    """The best value after so many trials, for each seed, with the sampler's defaults."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def draw(trial):
        if name != "conditional":
            return FUNCTIONS[name]([trial.suggest_float(p["name"], *p["range"]) for p in space])
        params = {"booster": trial.suggest_categorical("booster", ["linear", "tree", "dart"])}
        if params["booster"] == "linear":
            params["l2"] = trial.suggest_float("l2", 1e-4, 1e2, log=True)
        else:
            params["eta"] = trial.suggest_float("eta", 1e-3, 1, log=True)
            params["depth"] = trial.suggest_int("depth", 2, 14)
        if params["booster"] == "dart":
            params["drop"] = trial.suggest_float("drop", 0, 0.5)
        return tree(params)

    best = []
    for seed in seeds:
        s = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        s.optimize(draw, n_trials=trials)
        best.append(s.best_value)
    return best, optuna.__version__
