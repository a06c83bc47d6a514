#!/usr/bin/env python3
"""Holds the Kubernetes manifests against the types of its API, and against each other.

Usage: manifests.py FILE FOLDER, where FOLDER has node_modules with typescript and kubernetes-types. Each
manifest becomes a typed constant, so that the compiler finds unknown, missing and wrong fields. Then
errors are planted, one at a time, each of which has to be found.
"""

import json
import os
import subprocess
import sys

import yaml

TYPES = {
    ("v1", "ConfigMap"): ("core/v1", "ConfigMap"),
    ("v1", "Service"): ("core/v1", "Service"),
    ("apps/v1", "Deployment"): ("apps/v1", "Deployment"),
    ("policy/v1", "PodDisruptionBudget"): ("policy/v1", "PodDisruptionBudget"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): ("autoscaling/v2", "HorizontalPodAutoscaler"),
}
PLANTS = [
    ("a misspelt field", "readinessProbe:", "readynessProbe:"),
    ("a text for a number", "minReadySeconds: 10", "minReadySeconds: ten"),
    ("a field at the wrong place", "minReplicas: 2", "replicas: 2"),
    ("a required field left out", "  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: slotgate }\n", ""),
    ("a kind of another version", "apiVersion: policy/v1", "apiVersion: policy/v1beta1"),
    ("a selector that selects nothing", "selector: { app.kubernetes.io/name: slotgate }", "selector: { app: slotgate }"),
    ("a budget for somebody else", "  maxUnavailable: 1\n  selector:\n    matchLabels: { app.kubernetes.io/name: slotgate }",
     "  maxUnavailable: 1\n  selector:\n    matchLabels: { app.kubernetes.io/name: gate }"),
    ("an end before the drain's", "terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 30"),
    ("a port that nobody listens on", "containerPort: 6379", "containerPort: 6380"),
    ("metrics of a port that nobody listens on", 'prometheus.io/port: "9121"', 'prometheus.io/port: "9122"'),
    ("an admin port for the pod alone", '  SLOTGATE_ADMIN_BIND: "*"\n', ""),
    ("a service of a port that is not there", "targetPort: redis", "targetPort: http"),
    ("an option that slotgate does not have", "SLOTGATE_SHUTDOWN_TIMEOUT", "SLOTGATE_SHUTDOWN_TIME"),
    ("links of services", "      enableServiceLinks: false\n", ""),
    ("a writable root", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
]


def typescript(documents):
    lines = []
    for number, document in enumerate(documents):
        module, name = TYPES[(document["apiVersion"], document["kind"])]
        lines.append(f'import type {{ {name} as T{number} }} from "kubernetes-types/{module}";')
        lines.append(f"export const d{number}: T{number} = {json.dumps(document, indent=1)};")
    return "\n".join(lines) + "\n"


def known_options():
    """Every environment variable of docs/configuration.md, which is written from the program's table."""
    page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/configuration.md")
    with open(page, encoding="utf-8") as f:
        rows = [line.split("`")[1] for line in f if line.startswith("| `")]
    return {"SLOTGATE_" + name.upper().replace("-", "_") for name in rows}


def seconds(text):
    return int(text.removesuffix("s"))


def check_together(documents):
    """What no schema knows: how the manifests fit each other, the program and the image."""
    by_kind = {d["kind"]: d for d in documents}
    options = by_kind["ConfigMap"]["data"]
    deployment = by_kind["Deployment"]["spec"]
    pod = deployment["template"]["spec"]
    container = pod["containers"][0]
    labels = deployment["template"]["metadata"]["labels"].items()
    for name in sorted(set(options) - known_options()):
        yield f"slotgate has no option {name}"
    if not by_kind["Service"]["spec"]["selector"].items() <= labels:
        yield "the service selects nothing"
    if not by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels:
        yield "the budget is for somebody else"
    if by_kind["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] != by_kind["Deployment"]["metadata"]["name"]:
        yield "the autoscaler scales somebody else"
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    if str(ports["redis"]) != options["SLOTGATE_PORT"]:
        yield "slotgate listens on another port"
    scraped = deployment["template"]["metadata"]["annotations"]["prometheus.io/port"]
    if not str(ports["admin"]) == options["SLOTGATE_ADMIN_PORT"] == scraped:
        yield "Prometheus asks another port"
    if options.get("SLOTGATE_ADMIN_BIND") != "*":
        yield "Prometheus cannot reach the admin port"
    if pod.get("enableServiceLinks", True):
        yield "the links of the service overwrite SLOTGATE_PORT"
    if by_kind["Service"]["spec"]["ports"][0]["targetPort"] not in ports:
        yield "the service leads to no port"
    drain = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain += seconds(options.get("SLOTGATE_SHUTDOWN_TIMEOUT", "10s"))
    if pod["terminationGracePeriodSeconds"] <= drain:
        yield "it is killed before the drain ends"
    if not container["securityContext"]["readOnlyRootFilesystem"] or not pod["securityContext"]["runAsNonRoot"]:
        yield "more rights than the image needs"


def compile_all(folder, texts):
    """{name: first error} of the typed constants; texts that cannot be read are errors as well."""
    found, sources = {}, []
    for name, text in texts.items():
        path = os.path.join(folder, name + ".ts")
        try:
            source = typescript(list(yaml.safe_load_all(text)))
        except KeyError as e:
            found[name] = f"no such kind: {e}"
            continue
        with open(path, "w", encoding="utf-8") as f:
            f.write(source)
        sources.append(path)
    compiler = os.path.join(folder, "node_modules/typescript/bin/tsc")
    output = subprocess.run(["node", compiler, "--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler",
                             "--module", "esnext", *sources], cwd=folder, capture_output=True, text=True)
    if output.returncode not in (0, 2) or output.stderr:
        sys.exit(f"tsc fails: {output.stdout}{output.stderr}")
    for line in output.stdout.splitlines():
        if ": error " in line:
            found.setdefault(os.path.basename(line.split(".ts(", 1)[0]), line.split(": error ", 1)[1])
    return found


def main():
    path, folder = sys.argv[1], os.path.abspath(sys.argv[2])
    with open(path, encoding="utf-8") as f:
        good = f.read()
    texts = {"good": good}
    for number, (name, old, new) in enumerate(PLANTS):
        if good.count(old) != 1:
            sys.exit(f"plant '{name}': its text is there {good.count(old)} times")
        texts[f"plant{number:02}"] = good.replace(old, new)
    found = compile_all(folder, texts)
    for name, text in texts.items():
        if name not in found:
            found.update({name: line for line in list(check_together(list(yaml.safe_load_all(text))))[:1]})
    if "good" in found:
        sys.exit(f"{path}: {found['good']}")
    missed = 0
    for number, (name, _, _) in enumerate(PLANTS):
        what = found.get(f"plant{number:02}", "NOBODY finds it")
        missed += f"plant{number:02}" not in found
        print(f"  {name}: {what}"[:160])
    print(f"{len(PLANTS) - missed} of {len(PLANTS)} planted errors found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
