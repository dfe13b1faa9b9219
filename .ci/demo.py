"""Check the demo's JSON: python3 demo.py FILE. Exit code 1 and a line for each thing that isn't as told."""

import json
import sys

OUTCOMES = {1: "promoted", 2: "validation_failed", 3: "promoted", 4: "rolled_back", 5: "promoted", 6: "promoted"}


def problems(demo):
    chapters = {c["number"]: c for c in demo["chapters"]}
    if sorted(chapters) != sorted(OUTCOMES):
        yield f"chapters {sorted(chapters)}, want {sorted(OUTCOMES)}"
    for number, want in OUTCOMES.items():
        got = chapters.get(number, {}).get("outcome")
        if got != want:
            yield f"chapter {number}: outcome {got}, want {want}"
    lifecycles = {run["id"]: run for run in demo["lifecycles"]}
    for c in chapters.values():
        run = lifecycles.get(c["lifecycle"])
        if run is None:
            yield f"chapter {c['number']}: its run {c['lifecycle']} isn't among the lifecycles"
            continue
        if run["outcome"] != c["outcome"]:
            yield f"chapter {c['number']}: {c['outcome']}, but its run {run['outcome']}"
        if not run["stages"]:
            yield f"{run['id']}: no stages"
        if run["outcome"] == "promoted" and not (run.get("version") and run["dataset_sha256"] and run["rows"] > 0):
            yield f"{run['id']}: promoted without a version, a data set or rows: {run}"
    if demo["ledger"]["verified"] is not True or demo["ledger"]["entries"] < 1:
        yield f"ledger {demo['ledger']}, want it verified"
    if demo["worker_kills"] < 1:
        yield f"worker_kills {demo['worker_kills']} < 1"
    if demo["predictions_served"] < 1:
        yield f"predictions_served {demo['predictions_served']} < 1"
    if not any(w["drifted_features"] and w["max_psi"] > 0 for w in demo["drift"]):
        yield f"no drift in {demo['drift']}"
    if demo["champion"] != lifecycles.get(chapters.get(6, {}).get("lifecycle"), {}).get("version"):
        yield f"champion {demo['champion']} isn't the version of the last chapter"


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        demo = json.load(f)
    found = list(problems(demo))
    for p in found:
        print("demo:", p, file=sys.stderr)
    if found:
        sys.exit(1)
    print(
        f"    {len(demo['chapters'])} chapters, champion version {demo['champion']}, {demo['ledger']['entries']} ledger "
        f"entries verified, {demo['predictions_served']} predictions, {demo['worker_kills']} kill(s), {demo['seconds']:.0f} s"
    )


if __name__ == "__main__":
    main()
