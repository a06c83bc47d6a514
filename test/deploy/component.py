#!/usr/bin/env python3
"""Prints the commands of an Image Builder component as one script, after a look at the document's form.

Usage: component.py TEMPLATE.
"""

import sys

import cfn
import yaml

STEP = {"name", "action", "inputs", "timeoutSeconds", "onFailure", "maxAttempts"}


def commands_of(document):
    if set(document) != {"name", "schemaVersion", "phases"} or document["schemaVersion"] != 1.0:
        sys.exit(f"not a component: {sorted(document)}")
    for phase in document["phases"]:
        if phase["name"] not in ("build", "validate", "test"):
            sys.exit(f"no such phase: {phase['name']}")
        for step in phase["steps"]:
            if set(step) - STEP or step["action"] != "ExecuteBash":
                sys.exit(f"not a step: {step}")
            yield from step["inputs"]["commands"]


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        template = cfn.parse(f.read())
    values = cfn.pseudo_values() | {"SlotgateImage": "example/slotgate:1"}
    for _, component in cfn.resources(template, "ImageBuilder::Component"):
        data = yaml.safe_load(cfn.substitute(component["Properties"]["Data"]["Fn::Sub"], values))
        print("#!/bin/bash", *commands_of(data), sep="\n")


if __name__ == "__main__":
    main()
