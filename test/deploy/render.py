#!/usr/bin/env python3
"""Prints the user data of a template as an instance would get it.

Usage: render.py TEMPLATE [NAME=VALUE...]. Parameters without a default need a value.
"""

import sys

import cfn


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        template = cfn.parse(f.read())
    values = cfn.pseudo_values() | cfn.default_values(template) | {"LogGroup": "/slotgate/test"}
    values |= dict(argument.split("=", 1) for argument in sys.argv[2:])
    for _, text in cfn.user_data(template):
        sys.stdout.write(cfn.substitute(text, values))


if __name__ == "__main__":
    main()
